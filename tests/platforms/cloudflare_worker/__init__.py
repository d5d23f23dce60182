"""Tests of the Worker of Cloudflare Workers."""
