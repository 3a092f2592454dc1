"""Who is asking and what they may: keys, tenants, rate limits, quotas."""
