"""What all displays share: the card, charts, the display mode, thumbnails."""
