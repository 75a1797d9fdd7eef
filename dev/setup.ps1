#Requires -Version 5.1
<#
Makes the development environment on Windows: .venv with all pinned packages, and .env out of .env.example. It may be
called again at any time. If scripts are not allowed: Set-ExecutionPolicy -Scope CurrentUser RemoteSigned
#>
[CmdletBinding()]
param([string]$Python = "")

$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")

function Test-Python {
    param([string[]]$Command)
    if (-not (Get-Command $Command[0] -ErrorAction SilentlyContinue)) { return $false }
    $options = @($Command | Select-Object -Skip 1)
    & $Command[0] @options -c "import sys; sys.exit(sys.version_info < (3, 11))" | Out-Null
    return $LASTEXITCODE -eq 0
}

function Find-Python {
    $candidates = @(@("py", "-3.11"), @("python"), @("python3"))
    if ($Python) { $candidates = @(, @($Python)) }
    foreach ($candidate in $candidates) {
        if (Test-Python -Command $candidate) { return , $candidate }
    }
    throw "Python 3.11 or newer is needed: install it, for example with: winget install Python.Python.3.11"
}

function Invoke-Checked {
    param([string]$Program, [string[]]$Arguments)
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$Program $Arguments ended with exit code $LASTEXITCODE" }
}

$inside = Join-Path ".venv" (Join-Path "Scripts" "python.exe")
if (-not (Test-Path $inside)) {
    $found = Find-Python
    $options = @($found | Select-Object -Skip 1) + @("-m", "venv", ".venv")
    Invoke-Checked -Program $found[0] -Arguments $options
}
Write-Host "installing what dev/requirements.txt pins into .venv: some minutes the first time"
$pip = @("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
Invoke-Checked -Program $inside -Arguments ($pip + @("--require-hashes", "--requirement", "dev/requirements.txt"))
Invoke-Checked -Program $inside -Arguments ($pip + @("--no-deps", "--no-build-isolation", "--editable", "."))

if (Test-Path ".env") {
    Write-Host ".env is there, and stays as it is"
} else {
    Copy-Item ".env.example" ".env"
    Write-Host "made .env from .env.example"
}
Invoke-Checked -Program $inside -Arguments @("-m", "sluice_trainer", "validate", "--sample")
Write-Host "ready. Next:"
Write-Host "  .venv\Scripts\python -m pytest tests\unit\trainer     some tests; all that know no system: make check-portable"
Write-Host "  docker compose --env-file .env -f manifests/compose/compose.yaml up --build"
