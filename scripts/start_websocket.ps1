<#
.SYNOPSIS
Starts the seat server with Docker on Windows and waits until it is healthy.

.DESCRIPTION
Checks Docker and the port (naming who holds it, never ending it), starts the containers, waits for /health and prints
the addresses. WEBSOCKET_PORT (8001) and the other settings are read from the environment.

.PARAMETER Monitoring
Also starts Prometheus and Grafana.

.EXAMPLE
scripts\start_websocket.ps1 -Monitoring
#>
[CmdletBinding()]
param([switch]$Monitoring)

# Not 'Stop': Windows PowerShell 5.1 would take each line that docker writes to its error output for the end of the script.
$ErrorActionPreference = 'Continue'
Set-Location (Join-Path $PSScriptRoot '..') -ErrorAction Stop

$port = if ($env:WEBSOCKET_PORT) { [int]$env:WEBSOCKET_PORT } else { 8001 }
$timeout = if ($env:START_TIMEOUT) { [int]$env:START_TIMEOUT } else { 120 }

function Stop-With([string]$Message) {
    [Console]::Error.WriteLine("start_websocket: $Message")
    exit 1
}

function Test-Health {
    try {
        $answer = Invoke-WebRequest -Uri "http://127.0.0.1:$port/health" -TimeoutSec 2 -UseBasicParsing -ErrorAction Stop
        return $answer.StatusCode -eq 200
    } catch {
        return $false
    }
}

if (-not (Get-Command docker -ErrorAction SilentlyContinue)) {
    Stop-With 'docker is missing: https://docs.docker.com/desktop/install/windows-install/'
}
docker info *> $null
if ($LASTEXITCODE -ne 0) { Stop-With 'docker does not answer: start Docker Desktop and try again' }

# When our own server runs already, the port is held by it and `up` only brings it up to date.
$running = docker compose ps -q websocket 2> $null
if (-not $running) {
    $listener = Get-NetTCPConnection -LocalPort $port -State Listen -ErrorAction SilentlyContinue | Select-Object -First 1
    if ($listener) {
        $process = Get-Process -Id $listener.OwningProcess -ErrorAction SilentlyContinue
        Stop-With "port $port is held by $($process.ProcessName) (pid $($listener.OwningProcess)); end that, or set WEBSOCKET_PORT"
    }
}

$profileArguments = if ($Monitoring) { @('--profile', 'monitoring') } else { @() }
docker compose @profileArguments up -d --build
if ($LASTEXITCODE -ne 0) { Stop-With 'docker compose failed; its message is above' }

$deadline = (Get-Date).AddSeconds($timeout)
while (-not (Test-Health)) {
    if ((Get-Date) -gt $deadline) {
        docker compose logs --tail 20 websocket
        Stop-With "not healthy within $timeout s"
    }
    Start-Sleep -Milliseconds 500
}

Write-Output "sockets  ws://localhost:$port/ws/{client_id}"
Write-Output "page     http://localhost:$port/"
Write-Output "health   http://localhost:$port/health"
Write-Output "numbers  http://localhost:$port/stats and /metrics"
if ($Monitoring) {
    $grafana = if ($env:GRAFANA_PORT) { $env:GRAFANA_PORT } else { 3000 }
    Write-Output "graphs   http://localhost:$grafana/ (admin, GRAFANA_PASSWORD or admin)"
}
Write-Output 'stop     docker compose down'
