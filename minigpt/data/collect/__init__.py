"""Collecting text from saved pages, addresses and feeds: fetch politely, extract, keep once, search, export."""
