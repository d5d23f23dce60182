"""The template of a stack: valid, and with no more rights than the function needs."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from otlp2parquet.cli import main
from otlp2parquet.config.settings import settings
from otlp2parquet.deploy import artifact
from otlp2parquet.deploy.template import template
from tests.components.lambda_runtime import build_cfn_lint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The template, as the command writes it."""
    done = CliRunner().invoke(main, ["deploy", "aws", "-o", str(tmp_path), "--arch", "arm64"])
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "template.yaml") in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["template.yaml"]
    return tmp_path / "template.yaml"


def test_the_linter_of_aws_finds_nothing(written: Path) -> None:
    """No error and no warning, but the one that says what the first lines say: package it first."""
    command = [str(build_cfn_lint()), "--format", "json", "--ignore-checks", "W3002", "--"]
    command.append(str(written))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == [], done.stdout
    assert done.returncode == 0


def test_names_are_filled_in(written: Path) -> None:
    """The zip, the runtime and the processor are those of the zip that --package makes."""
    text = written.read_text("utf-8")
    assert f"Code: ./{artifact.zip_name('arm64')}\n" in text
    assert f"Runtime: {artifact.runtime()}\n" in text
    assert 'Architectures: ["arm64"]\n' in text
    assert "@" not in re.sub(r"#.*", "", text)


def test_an_edited_template_is_not_written_over(written: Path) -> None:
    """It says itself that settings can be added; a new version has another one all the same."""
    again = ["deploy", "aws", "-o", str(written.parent), "--arch", "arm64"]
    assert CliRunner().invoke(main, again).exit_code == 0
    text = written.read_text("utf-8")
    written.write_text(f"{text}# ours\n", "utf-8")
    done = CliRunner().invoke(main, again)
    assert done.exit_code == 1
    assert "--force" in done.output
    assert written.read_text("utf-8").endswith("# ours\n")
    assert CliRunner().invoke(main, [*again, "--force"]).exit_code == 0
    assert written.read_text("utf-8") == text


def test_a_stack_can_be_made_again() -> None:
    """What stays of one is in the way of none: bare ``Retain`` keeps it when making it failed."""
    text = template(zip_name="z", runtime="python3.13", architecture="arm64")
    assert re.findall(r"^ +DeletionPolicy: (\w+)$", text, re.MULTILINE) == [
        "RetainExceptOnCreate",
        "RetainExceptOnCreate",
        "Delete",
    ]
    name, stack = re.findall(r"TableBucketName: !Sub\n +- (.*)\n +- Stack: (.*)\n", text)[0]
    assert name.endswith("-${Stack}")
    assert "!Ref AWS::StackId" in stack
    assert not re.search(r"^ +(BucketName|RoleName|QueueName|LogGroupName):", text, re.MULTILINE)


def test_a_capture_that_fails_is_not_forgotten() -> None:
    """AWS tries an event three times; then it goes where somebody can see it."""
    text = template(zip_name="z", runtime="python3.13", architecture="arm64")
    assert "OnFailure:\n          Destination: !GetAtt FailedCaptures.Arn\n" in text
    assert "Action: sqs:SendMessage\n                  Resource: !GetAtt FailedCaptures.Arn" in text
    # Else a capture that was removed looks forbidden, and fails instead of being passed by.
    listed = 'Action: s3:ListBucket\n +Resource: !Sub "arn:.*:s3:::\\${CapturesBucket}"\n'
    assert re.search(listed, text)


def test_nothing_may_do_everything() -> None:
    """No action is a pattern, and no resource is all of them."""
    text = template(zip_name="z", runtime="python3.13", architecture="arm64")
    assert not re.search(r"(Action|Resource|NotAction|NotResource): *[\"']?\*", text)
    assert not re.search(r"\b(s3|s3tables|logs|lambda|sts):[A-Za-z]*\*", text)
    # Who may call the open URL is everybody: that is what it is, and only there.
    assert text.count('Principal: "*"') == text.count("Condition: IsOpenUrl") == 2


def test_its_settings_are_settings() -> None:
    """Every variable of the function is one that is read."""
    text = template(zip_name="z", runtime="python3.13", architecture="arm64")
    known = {name for row in settings() for name in row.env_names}
    used = set(re.findall(r"^ +(OTLP2PARQUET_\w+):", text, re.MULTILINE))
    assert used
    assert used <= known
