#!/usr/bin/env bash
# chipsec-tpm-command.sh
#
# Package    chipsec 1.13.16, as pip installs it
# Guess      it lacks the kernel module, as its makers say, and has every command of the manual
# Behaviour  chipsec_util says at every start that it cannot import tpm_cmd, and `tpm` is no choice: the package has
#            chipsec/utilcmd/tpm_cmd.py, and not the chipsec/library/tpm that it needs
# Seen       ERROR: Exception occurred during import of tpm_cmd: 'No module named 'chipsec.library.tpm''
#            chipsec_util: error: argument Command: invalid choice: 'tpm' (choose from 'acpi', 'check', 'cmos', ...)
# Matters    docs/lab-tools.md says what of chipsec works on the appliance; with measured boot its TPM is a part that
#            one would ask for
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check chipsec==1.13.16
# -n: without a driver, so nothing of the machine is touched.
said=$(venv/bin/chipsec_util -n tpm state 0 2>&1) && status=0 || status=$?
printf '%s\n' "$said" | grep -E 'tpm_cmd|invalid choice'
[ "$status" -ne 0 ]
[[ $said == *"import of tpm_cmd: 'No module named 'chipsec.library.tpm''"* && $said == *"invalid choice: 'tpm'"* ]]
