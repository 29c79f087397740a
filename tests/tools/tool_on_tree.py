"""Runs a tool of tools/ on a small tree made for the test."""
import os
import pathlib
import subprocess
import sys
import tempfile

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


def run_tool(tool, files, *arguments, **environment):
    """What `tool ROOT ARGUMENT…` says of these files, {path: text or bytes}, as (exit code, output).

    In the environment's values "{root}" stands for the tree.
    """
    with tempfile.TemporaryDirectory() as root:
        for name, content in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        settings = {name: value.replace("{root}", root) for name, value in environment.items()}
        done = subprocess.run([sys.executable, TOOLS / tool, root, *arguments], capture_output=True, text=True, check=False,
                              env=dict(os.environ, **settings))
        return done.returncode, done.stdout + done.stderr
