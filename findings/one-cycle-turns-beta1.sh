#!/usr/bin/env bash
# torch's OneCycleLR is a schedule of the learning rate, and also of Adam's beta1: it overwrites the value the
# optimiser was made with (0.5 here), unless cycle_momentum=False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch

parameter = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.AdamW([parameter], lr=1e-3, betas=(0.5, 0.999))
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=10)
betas = [round(optimizer.param_groups[0]["betas"][0], 3)]
for _ in range(9):
    optimizer.step()
    schedule.step()
    betas.append(round(optimizer.param_groups[0]["betas"][0], 3))
print(f"torch {torch.__version__}")
print("beta1, asked for as 0.5, step by step:", betas)
assert betas[0] == 0.95, betas
assert min(betas) == 0.85, betas
PYTHON
