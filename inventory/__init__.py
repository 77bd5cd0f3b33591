"""Reading hosts: files and reports in, host facts and package sets stored."""
