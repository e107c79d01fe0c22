"""What runs and checks the stack out of a checkout; not part of the installed package."""
