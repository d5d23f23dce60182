"""What it takes to run the product on somebody's cloud: templates, and artifacts of wheels.

    artifact  a zip for AWS Lambda, of manylinux wheels
    contents  what of the wheels goes in, and what stays out
    template  the template of AWS CloudFormation (SAM), with its explanations
    worker    the folder of a Cloudflare Worker, of the package's own sources

Writes files; never calls a cloud. Knows nothing of batches or requests.
"""
