"""What moves and who takes part: transfers, members, and the streams that keep pages new."""
