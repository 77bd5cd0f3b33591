"""Document formats that several vendors publish in: read into plain values, without I/O."""
