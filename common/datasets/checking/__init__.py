"""What a dataset's files hold and show, checked against what they are used for."""
