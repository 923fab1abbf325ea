"""Picture files, whatever is in them: which there are, read upright, in grey or in colours."""
