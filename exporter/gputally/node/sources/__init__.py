"""Ways to reach GPUs; the only rooms that know a driver or a program."""
