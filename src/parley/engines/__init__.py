"""Everything that hears, thinks and speaks: one file per engine, chosen through the catalog."""
