"""Tools that live at a URL: what is sent, to whom, and what comes back."""
