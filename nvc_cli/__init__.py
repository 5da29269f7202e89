"""The `nvc` command. A client of the library: options in, reports out."""
