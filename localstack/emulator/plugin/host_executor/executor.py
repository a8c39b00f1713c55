"""Runs a zip Lambda with an executable `bootstrap` (provided.al2 / provided.al2023) as a plain
subprocess of LocalStack, with a Lambda Runtime API server per execution environment on loopback.

No Docker, no RIE/init binary. What the RIE does for LocalStack in a container is done here:
START/END/REPORT lines, timeout enforcement, crash detection and restart, init errors.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from localstack import config
from localstack.aws.api.lambda_ import PackageType
from localstack.services.lambda_.invocation.executor_endpoint import (
    ShutdownDuringStartup,
    StatusErrorException,
)
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import (
    LambdaRuntimeException,
    RuntimeExecutor,
)
from localstack.utils.strings import to_bytes

LOG = logging.getLogger(__name__)

API = "/2018-06-01/runtime"
LOOPBACK = "127.0.0.1"


def _error_payload(error_type: str, message: str) -> bytes:
    return to_bytes(json.dumps({"errorType": error_type, "errorMessage": message}))


class _Done:
    """Outcome of one invocation (or of the init phase)."""

    def __init__(self):
        self.event = threading.Event()
        self.kind: str | None = None  # response | error | exit | stopped
        self.payload = b""
        self._lock = threading.Lock()

    def set(self, kind: str, payload: bytes = b"") -> bool:
        with self._lock:
            if self.event.is_set():
                return False
            self.kind, self.payload = kind, payload
            self.event.set()
            return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: one segment per reply

    def log_message(self, *args):
        pass

    @property
    def executor(self) -> "HostRuntimeExecutor":
        return self.server.executor  # type: ignore[attr-defined]

    def _body(self) -> tuple[bytes, dict[str, str]]:
        """The Go runtime client posts chunked bodies and puts late errors in trailers."""
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0)), {}
        body, trailers = b"", {}
        while True:
            size = int(self.rfile.readline().split(b";")[0].strip() or b"0", 16)
            if size == 0:
                break
            body += self.rfile.read(size)
            self.rfile.readline()
        while (line := self.rfile.readline().strip()) != b"":
            key, _, value = line.decode("latin-1").partition(":")
            trailers[key.strip().lower()] = value.strip()
        return body, trailers

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        if self.path != f"{API}/invocation/next":
            return self._reply(404, b"{}")
        work = self.executor._next(self.server)
        if work is None:  # shutting down
            self.close_connection = True
            return
        self._reply(200, work["body"], work["headers"])

    def do_POST(self):
        body, trailers = self._body()
        parts = self.path[len(API) :].strip("/").split("/") if self.path.startswith(API) else []
        if parts == ["init", "error"]:
            self.executor._init_error(self.server, body)
            return self._reply(202, b'{"status":"OK"}')
        if len(parts) == 3 and parts[0] == "invocation" and parts[2] in ("response", "error"):
            kind = parts[2]
            if trailers.get("lambda-runtime-function-error-type"):
                kind = "error"
            ok = self.executor._finished(parts[1], kind, body)
            return self._reply(202 if ok else 400, b'{"status":"OK"}')
        self._reply(404, b"{}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, executor):
        super().__init__((LOOPBACK, 0), _Handler)
        self.executor = executor

    def handle_error(self, request, client_address):
        LOG.debug("runtime API connection ended", exc_info=True)


class HostRuntimeExecutor(RuntimeExecutor):
    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        self.env: dict[str, str] = {}
        self.server: _Server | None = None
        self.process: subprocess.Popen | None = None
        self.cond = threading.Condition()
        self.work: dict | None = None
        self.current: _Done | None = None
        self.current_id: str | None = None
        self.init: _Done | None = None
        self.stopped = False
        self.dir: str | None = None
        self.log_path: str | None = None
        self.log_offset = 0
        self.init_ms = 0.0

    # ---- RuntimeExecutor interface
    def start(self, env_vars: dict[str, str]) -> None:
        code = self.function_version.config.code.get_unzipped_code_location()
        if not (Path(code) / "bootstrap").is_file():
            self._raise_init(
                _error_payload(
                    "Runtime.InvalidEntrypoint",
                    "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
                )
            )
        self.dir = tempfile.mkdtemp(
            prefix=f"{self.function_version.id.function_name}-{self.id[:8]}-",
            dir=_runtime_root(),
        )
        os.mkdir(os.path.join(self.dir, "tmp"))
        self.log_path = os.path.join(self.dir, "output.log")
        self.env = {k: str(v) for k, v in env_vars.items() if v is not None}
        # past LocalStack, on whose way through a request takes several times as long
        self.env.setdefault("AWS_ENDPOINT_URL_DYNAMODB", f"http://{LOOPBACK}:{config.DYNAMODB_LOCAL_PORT}")
        self.env.update(
            {
                "LAMBDA_TASK_ROOT": str(code),
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LANG": "en_US.UTF-8",
                "TMPDIR": os.path.join(self.dir, "tmp"),
                "HOME": os.path.join(self.dir, "tmp"),
            }
        )
        self._spawn()

    def stop(self) -> None:
        with self.cond:
            self.stopped = True
            self.cond.notify_all()
        if self.init:
            self.init.set("stopped")
        if self.current:
            self.current.set("stopped")
        self._kill()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def get_address(self) -> str:
        return LOOPBACK

    def get_endpoint_from_executor(self) -> str:
        return LOOPBACK

    def get_runtime_endpoint(self) -> str:
        return f"http://{LOOPBACK}:{config.GATEWAY_LISTEN[0].port}/_host_executor/{self.id}"

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id = payload["invoke-id"]
        timeout = int(self.function_version.config.timeout)
        while True:
            if self.process is None or self.process.poll() is not None:
                # the previous invocation crashed or timed out: a fresh process, as Lambda does
                try:
                    self._spawn()
                except StatusErrorException as e:
                    return InvocationResult(request_id, e.payload, is_error=True, logs=self._read_logs())
            report_init, self.init_ms = self.init_ms, 0.0
            started = time.time()
            done = _Done()
            work = {
                "body": to_bytes(payload["payload"]),
                "headers": {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int((started + timeout) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": payload["invoked-function-arn"],
                    "Lambda-Runtime-Trace-Id": payload.get("trace-id") or "",
                },
            }
            with self.cond:
                self.current, self.current_id, self.work = done, request_id, work
                self.cond.notify_all()
                process = self.process
            if process is None or process.poll() is not None:
                done.set("exit", b"before it took the invocation")  # it went between the look above and here
            if not done.event.wait(timeout):
                done.set("timeout")
            with self.cond:
                taken = self.work is not work
                self.current, self.current_id, self.work = None, None, None
            if done.kind == "exit" and not taken:
                self._kill()  # it was still on its way out after the previous invocation and never saw this one
                continue
            break
        ms = (time.time() - started) * 1000
        extra, is_error, body = "", True, done.payload
        if done.kind in ("response", "error"):
            is_error = done.kind == "error"
        elif done.kind == "timeout":
            self._kill()
            now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            message = f"{now} {request_id} Task timed out after {timeout:.2f} seconds"
            body, extra = _error_payload("Sandbox.Timedout", message), message + "\n\n"
        elif done.kind == "exit":
            message = f"RequestId: {request_id} Error: Runtime exited {done.payload.decode()}"
            body, extra = _error_payload("Runtime.ExitError", message), message + "\nRuntime.ExitError\n"
            self._kill()
        else:  # stopped under a running invocation
            raise LambdaRuntimeException(f"Environment {self.id} stopped during {request_id}")
        billed = int(ms) + 1
        init = f"\tInit Duration: {report_init:.2f} ms" if report_init else ""
        logs = (
            f"START RequestId: {request_id} Version: {self.function_version.id.qualifier}\n"
            f"{self._read_logs()}{extra}"
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {ms:.2f} ms\tBilled Duration: {billed} ms"
            f"\tMemory Size: {self.function_version.config.memory_size} MB"
            f"\tMax Memory Used: {self.function_version.config.memory_size} MB{init}\n"
        )
        return InvocationResult(request_id, body, is_error=is_error, logs=logs)

    def get_logs(self) -> str:
        try:
            return Path(self.log_path).read_text(errors="replace") if self.log_path else ""
        except OSError:
            return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        if function_version.config.package_type != PackageType.Zip:
            raise LambdaRuntimeException("host executor: only zip packages")
        if not str(function_version.config.runtime or "").startswith("provided"):
            LOG.warning(
                "host executor: runtime %s of %s is not provided.*; invocations will fail",
                function_version.config.runtime,
                function_version.qualified_arn,
            )
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        pass

    @classmethod
    def validate_environment(cls) -> bool:
        return True

    # ---- process handling
    def _spawn(self) -> None:
        self._kill()
        began = time.time()
        init = self.init = _Done()
        server = self.server = _Server(self)
        threading.Thread(
            target=server.serve_forever, args=(0.1,), daemon=True, name=f"rapi-{self.id[:8]}"
        ).start()
        code = self.function_version.config.code.get_unzipped_code_location()
        env = {**self.env, "AWS_LAMBDA_RUNTIME_API": f"{LOOPBACK}:{server.server_address[1]}"}
        with open(self.log_path, "ab") as out:
            process = subprocess.Popen(
                [os.path.join(code, "bootstrap")],
                cwd=code,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.process = process
        threading.Thread(
            target=self._watch, args=(process, server), daemon=True, name=f"rapi-w-{self.id[:8]}"
        ).start()
        # LocalStack's own startup timer calls stop() when this lasts too long
        init.event.wait(config.LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT + 5)
        if init.kind == "ready":
            self.init_ms = (time.time() - began) * 1000
            return
        if init.kind == "error":
            self._kill()
            self._raise_init(init.payload)
        if init.kind == "exit":
            self._kill()
            self._raise_init(
                _error_payload(
                    "Runtime.ExitError",
                    f"RequestId: {self.id} Error: Runtime exited {init.payload.decode()}",
                )
            )
        self._kill()
        raise ShutdownDuringStartup("Execution environment shut down during startup")

    def _raise_init(self, payload: bytes):
        LOG.warning(
            "Init of %s failed: %s\n%s",
            self.function_version.qualified_arn,
            payload,
            self.get_logs()[-4000:],
        )
        raise StatusErrorException("Environment startup failed", payload=payload)

    def _watch(self, process: subprocess.Popen, server: _Server) -> None:
        rc = process.wait()
        how = f"with error: signal: {signal.Signals(-rc).name}" if rc < 0 else (
            f"with error: exit status {rc}" if rc else "without providing a reason"
        )
        with self.cond:
            if process is not self.process:
                return
            if self.init:
                self.init.set("exit", how.encode())
            if self.current:
                self.current.set("exit", how.encode())

    def _kill(self) -> None:
        process, server = self.process, self.server
        with self.cond:
            self.process, self.server = None, None
            self.cond.notify_all()
        if process and process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        if server:
            threading.Thread(target=self._close, args=(server,), daemon=True).start()

    @staticmethod
    def _close(server: _Server) -> None:
        server.shutdown()
        server.server_close()

    # ---- called by the runtime API
    def _next(self, server: _Server) -> dict | None:
        if server is not self.server:
            return None
        if self.init:
            self.init.set("ready")
        with self.cond:
            while self.work is None:
                if self.stopped or server is not self.server:
                    return None
                self.cond.wait(1.0)
            work, self.work = self.work, None
            return work

    def _init_error(self, server: _Server, body: bytes) -> None:
        if server is self.server and self.init:
            self.init.set("error", body)

    def _finished(self, request_id: str, kind: str, body: bytes) -> bool:
        with self.cond:
            if self.current is None or request_id != self.current_id:
                return False
            return self.current.set(kind, body)

    def _read_logs(self) -> str:
        """Output goes to a file: all that was written before the reply is already in it."""
        try:
            with open(self.log_path, "rb") as f:
                f.seek(self.log_offset)
                data = f.read()
        except OSError:
            return ""
        self.log_offset += len(data)
        text = data.decode("utf-8", "replace")
        return text if not text or text.endswith("\n") else text + "\n"


def _runtime_root() -> str:
    root = os.path.join(config.dirs.tmp, "lambda-host")
    os.makedirs(root, exist_ok=True)
    return root
