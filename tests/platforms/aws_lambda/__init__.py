"""Tests of the function of AWS Lambda."""
