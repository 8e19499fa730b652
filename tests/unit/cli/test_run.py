"""What a command line that cannot be meant is answered with."""

import pytest

from mmconsole.cli.run import run


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("jobs show x", "Invalid value for 'JOB': it must be a whole number. Try `mmconsole jobs show --help`."),
        ("demo --users 0", "it must be greater than or equal to 1. Try `mmconsole demo --help`."),
        ("tokens restorage --to foo", "'foo' is not one of 'sealed', 'laravel', 'plain'. Try"),
        ("tokens restorage", "Choose from: sealed, laravel, plain. Try"),
        ("sync --al", "--wait). Try `mmconsole sync --help`."),
        ("snyc", "Did you mean 'sync'? Try `mmconsole --help`."),
    ],
)
def test_usage_is_told_in_whole_sentences_of_ours(capsys: pytest.CaptureFixture[str], line: str, sentence: str) -> None:
    assert run(line.split()) == 2
    told = capsys.readouterr().err

    assert sentence in told
    assert "Value error" not in told
