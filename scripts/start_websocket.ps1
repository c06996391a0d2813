<#
.SYNOPSIS
Starts the seat server with Docker on Windows and waits until it is healthy.

.DESCRIPTION
Checks Docker and the port (naming who holds it, never ending it), starts the containers, waits until the health check in
the server's container calls it healthy, and prints the addresses. WEBSOCKET_PORT (8001) and the other settings are read
from the environment.

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

# What the health check in the container says: starting, healthy, unhealthy; or nothing when there is no container. It asks
# where the server listens, and as its settings want it, which nobody outside can know.
function Get-ContainerHealth {
    $container = docker compose ps -q websocket 2> $null | Select-Object -First 1
    if (-not $container) { return '' }
    return [string](docker inspect -f '{{.State.Health.Status}}' $container 2> $null)
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
while (($health = Get-ContainerHealth) -ne 'healthy') {
    if ((Get-Date) -gt $deadline) {
        docker compose logs --tail 20 websocket
        $state = if ($health) { $health } else { 'gone' }
        Stop-With "not healthy within $timeout s (the container is $state)"
    }
    Start-Sleep -Milliseconds 500
}

# The address at which the port is published; all of them are reached at localhost.
$address = if ($env:WEBSOCKET_BIND -and $env:WEBSOCKET_BIND -notin '0.0.0.0', '::', '[::]') { $env:WEBSOCKET_BIND.Trim('[', ']') } else { 'localhost' }
if ($address.Contains(':')) { $address = "[$address]" }
Write-Output "sockets  ws://${address}:$port/ws/{client_id}"
Write-Output "page     http://${address}:$port/"
Write-Output "health   http://${address}:$port/health"
Write-Output "numbers  http://${address}:$port/stats and /metrics"
if ($Monitoring) {
    $grafana = if ($env:GRAFANA_PORT) { $env:GRAFANA_PORT } else { 3000 }
    Write-Output "graphs   http://localhost:$grafana/ (admin, GRAFANA_PASSWORD or admin)"
}
Write-Output 'stop     docker compose down'
