"""Streams' event source mappings with AWS's retry rules, which MiniStack 1.5.33 lacks: ReportBatchItemFailures,
MaximumRetryAttempts, BisectBatchOnFunctionError, the on-failure destination, and a thread for each mapping."""
import logging
import os
import socketserver
import threading
import time

socketserver.StreamRequestHandler.disable_nagle_algorithm = True  # its Lambda runtime API answers in two writes: 40 ms a call otherwise

from ministack.services import dynamodb as D, lambda_svc as L  # noqa: E402

LOG = logging.getLogger("ministack.esm")
BACKOFF = float(os.environ.get("ESM_RETRY_BACKOFF_SECONDS", "0.2"))
_pending: dict = {}      # esm id -> [(records, attempts, retry_at)] still to be handled, oldest first; checkpoint lies before them
_busy: set = set()
_lock = threading.Lock()


def failed_at(result, batch):
    """None: all handled. Else the index of the first record to be tried again (AWS: the lowest sequence number named)."""
    if result.get("error"):
        return 0, True
    body = result.get("body")
    if not isinstance(body, dict) or not body.get("batchItemFailures"):
        return None, False
    ids = {r["dynamodb"]["SequenceNumber"]: i for i, r in enumerate(batch)}
    at = [ids.get((f or {}).get("itemIdentifier") or "", 0) for f in body["batchItemFailures"]]  # an unknown id fails the whole batch
    return min(at), False


def step(esm, func, table, arn):
    """Handles one batch of one mapping; True when something went forward."""
    eid = esm["UUID"]
    todo = _pending.setdefault(eid, [])
    if not todo:
        with L._dynamodb_stream_positions_lock:
            start = D.stream_start_position(table)
            pos = max(L._dynamodb_stream_positions.get(eid, start if esm.get("StartingPosition") == "TRIM_HORIZON" else D.stream_end_position(table)), start)
            L._dynamodb_stream_positions[eid] = pos
        raw = D.stream_records_since(table, pos, esm.get("BatchSize", 100))
        if not raw:
            return False
        window = esm.get("MaximumBatchingWindowInSeconds") or 0
        if window and len(raw) < esm.get("BatchSize", 100):
            oldest = float(raw[0]["dynamodb"].get("ApproximateCreationDateTime", 0))
            if time.time() < oldest + window:
                return False
        with L._dynamodb_stream_positions_lock:
            L._dynamodb_stream_positions[eid] = pos + len(raw)
        batch = L._apply_filter_criteria(raw, esm)
        if not batch:
            return True
        todo.append((batch, 0, 0.0))
    batch, tries, at = todo[0]
    if at > time.time():
        return False
    result = L._execute_function(func, {"Records": batch})
    partial = "ReportBatchItemFailures" in (esm.get("FunctionResponseTypes") or [])
    idx, thrown = failed_at(result, batch) if (partial or result.get("error")) else (None, False)
    todo.pop(0)
    if idx is None:
        esm["LastProcessingResult"] = "OK"
        return True
    rest, tries = batch[idx:], tries + 1
    limit = esm.get("MaximumRetryAttempts", -1)
    age = esm.get("MaximumRecordAgeInSeconds", -1)
    oldest = float(rest[0]["dynamodb"].get("ApproximateCreationDateTime", time.time()))
    LOG.info("ESM %s: failed from record %d of %d, attempt %d", esm["FunctionName"], idx, len(batch), tries)
    # A batch is split when the function failed as a whole (an error, or its first record named); that does not count as a retry.
    # Where a later record is named, everything before it is done and the rest is tried again.
    if age and int(age) > 0 and time.time() - oldest > int(age):
        L._send_ddb_stream_failure_record(esm, func, rest, arn, result, "MaxRecordAgeExceeded")
    elif esm.get("BisectBatchOnFunctionError") and len(rest) > 1 and idx == 0:
        half = (len(rest) + 1) // 2
        todo[0:0] = [(rest[:half], tries - 1, time.time() + BACKOFF), (rest[half:], tries - 1, 0.0)]
    elif limit is not None and 0 <= int(limit) < tries:
        L._send_ddb_stream_failure_record(esm, func, rest, arn, result, "RetryAttemptsExhausted")
    else:
        todo.insert(0, (rest, tries, time.time() + BACKOFF))
    return True


def poll():
    for acct, region, esm in L._iter_all_esms():
        a, r = L._request_account_id.set(acct), L._request_region.set(region)
        try:
            if not esm.get("Enabled", True):
                continue
            arn = esm.get("EventSourceArn", "")
            try:
                spec = L.parse_arn(arn)
            except L.ArnParseError:
                continue
            if spec.service != "dynamodb" or spec.account_id != acct or spec.region != region:
                continue
            ts = L._dynamodb_stream_table_from_arn_spec(spec)
            func, _ = L._get_func_record_for_qualifier(esm["FunctionName"], esm.get("Qualifier"))
            if ts is None or func is None:
                continue
            table = D._tables.get(ts[0])
            if not table or table.get("LatestStreamArn") != arn:
                continue
            eid = esm["UUID"]
            with _lock:
                if eid in _busy:
                    continue
                _busy.add(eid)

            def work(esm=esm, func=func, table=ts[0], arn=arn, eid=eid, acct=acct, region=region):
                L._request_account_id.set(acct), L._request_region.set(region)
                try:
                    while step(esm, func, table, arn):
                        pass
                except Exception:
                    LOG.exception("ESM %s", eid)
                finally:
                    with _lock:
                        _busy.discard(eid)

            L.spawn_background(work, thread_name="ministack-ddb-esm")
        finally:
            L._request_account_id.reset(a)
            L._request_region.reset(r)
    return False


def ticker():
    while True:
        time.sleep(0.05)
        try:
            poll()
        except Exception:
            LOG.exception("stream poll")


def answered(func, event, *more, **named):
    """A batch of which nothing failed may be answered with null: its poller of queues chokes on that."""
    result = _execute(func, event, *more, **named)
    body = result.get("body")
    if isinstance(body, dict) and "batchItemFailures" in body:
        body["batchItemFailures"] = body["batchItemFailures"] or []
    return result


_execute, L._execute_function = L._execute_function, answered
L._poll_dynamodb_streams = lambda: False
threading.Thread(target=ticker, daemon=True, name="ddb-esm").start()
