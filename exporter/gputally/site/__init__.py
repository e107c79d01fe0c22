"""What is declared of a site and no machine measures: its prices, its calendar, what its GPUs have cost."""
