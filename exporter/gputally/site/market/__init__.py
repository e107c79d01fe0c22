"""What GPUs are rented for elsewhere: a file for each provider, asked in the background, not in a scrape."""
