"""Cards, tables and charts of confusion matrices."""
