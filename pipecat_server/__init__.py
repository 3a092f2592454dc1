"""The name that RustPBX's older media server had: its commands start Parley."""
