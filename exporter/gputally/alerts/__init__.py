"""What alerts compare with, and rules that people write without PromQL. Pure: no file, no clock."""
