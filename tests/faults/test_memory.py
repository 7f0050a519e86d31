"""A GPU whose memory is full: one line that says what needs less, and other errors of torch's keep their traceback."""

import pytest
import torch

from thicket.stages.launch import FAILED, guarded

SAID = (
    "CUDA out of memory. Tried to allocate 576.00 MiB. GPU 0 has a total capacity of 139.80 GiB of which 218.38 MiB is "
    "free. Including non-PyTorch memory, this process has 23.78 GiB memory in use. See documentation."
)


def raising(error: Exception) -> None:
    raise error


def test_a_full_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: raising(torch.OutOfMemoryError(SAID))) == FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "Error: CUDA out of memory. Tried to allocate 576.00 MiB. GPU 0 has a total capacity of 139.80"
    )
    assert "218.38 MiB is free. Less is needed with a smaller sampler.batch" in line
    assert "documentation" not in line


def test_other_errors_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="shape"):
        guarded(lambda: raising(RuntimeError("shape '[2]' is invalid")))
    monkeypatch.setenv("THICKET_TRACEBACK", "1")
    with pytest.raises(torch.OutOfMemoryError):
        guarded(lambda: raising(torch.OutOfMemoryError(SAID)))
