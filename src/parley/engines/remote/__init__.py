"""What engines that live in other programs share: addresses, failures, several instances."""
