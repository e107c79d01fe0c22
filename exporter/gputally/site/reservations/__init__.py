"""Bookings of GPUs: what holds now, what it comes to, what is free, and how the file of them is changed."""
