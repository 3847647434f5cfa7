"""A Pulumi stack on the fake swarm: an update runs the real program and the real providers, in Pulumi's order.

An update first refreshes every resource. Then the program runs. A resource is compared, and created, updated or replaced, as
soon as all that it depends on is done. At the end, what the program no longer has is deleted, dependents first. The program
says by itself what a resource is called and which names it had (`Update.key`). A preview does the same, and changes nothing.

`tests/fake/verbs.py` has the options of a command. A replaced resource is created, and its old one deleted at the end. What
targets leave out stays as the state has it.

Left out: secrets, work side by side, and the replacement of dependents of what is replaced. A machine that the program
prepares gets its mark, and nothing else.
"""

import asyncio
import base64
import logging
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import dill
import pulumi
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.runtime import mocks, rpc, set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.resource_hooks import StubErrorHook, StubResourceHook
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _ensure_event_loop, _sync_await

from components import command_line, membership
from components.cluster import Cluster as _Program  # noqa: F401 - loaded before `wired` patches what is loaded
from components.progress import TOLD
from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.operations.assess import assess
from recovery.settings import PROJECT, Settings, parse
from tests.fake.configuration import configuration
from tests.fake.verbs import PLAIN, Cancelled, NotTargeted, Options
from tests.fake.wires import Strike, Wires

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "__main__.py"
CODE = re.compile(r"code: ([a-z-]+)")
PREPARED = "pulumi-python:dynamic/requorum:Prepared"
Props = dict[str, Any]
HANDLER = ThreadPoolExecutor(max_workers=1)
"""Handles one resource after the other, in the order in which the program registers them."""


@dataclass(frozen=True)
class Held:
    """What the state holds of one resource."""

    urn: str
    id: str
    inputs: Props
    outputs: Props
    settings: Settings
    """What its provider was given."""

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass
class Done:
    """What came of an update or a preview."""

    failure: str = ""
    """Why it failed, in full; empty if it did not."""
    operations: list[str] = field(default_factory=list)
    """What was done to which resource of ours, such as ``update quorum``, in order."""
    effects: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """What the program told Pulumi, which shows it to a person."""

    @property
    def code(self) -> str:
        """The code of the failure."""
        found = CODE.findall(self.failure)
        return found[-1] if found else ""


class Stack:
    """One stack: its state, and the fake that its updates change."""

    strike: Strike | None = None  # interrupts what runs next

    def __init__(self, wires: Wires, state: Mapping[str, Held] | None = None, *, name: str = "fake") -> None:
        self.wires = wires
        self.state = dict(state or {})
        self.name = name

    def up(self, raw: Mapping[str, Any], *, consent: bool = False, options: Options = PLAIN) -> Done:
        """Run ``pulumi up`` on a stack file with these values. With ``consent``, give the ID of the plan that is shown now."""

        def run(done: Done) -> None:
            plan = {"recover": assess(Cluster(parse(raw))).plan.id or False} if consent else {}
            Update(self, {**raw, **plan}, done, options=options).run()

        return self._done("up", options, run)

    def preview(self, raw: Mapping[str, Any]) -> Done:
        """Run ``pulumi preview`` on a stack file with these values. What new resources put out is not known then."""
        other = Stack(self.wires, self.state, name=self.name)
        return other._done("preview", PLAIN, lambda done: Update(other, raw, done, preview=True).run())

    def destroy(self, raw: Mapping[str, Any], *, options: Options = PLAIN) -> Done:
        """Run ``pulumi destroy``. Pulumi does not run the program for it."""
        return self._done("destroy", options, lambda done: Update(self, raw, done, options=options).destroy())

    def forget(self, name: str) -> None:
        """Run ``pulumi state delete`` for a resource of ours."""
        self.state = {urn: held for urn, held in self.state.items() if held.name != name}

    def rename(self, name: str) -> None:
        """Run ``pulumi stack rename``."""
        for old, held in list(self.state.items()):
            new = old.replace(f"urn:pulumi:{self.name}::", f"urn:pulumi:{name}::", 1)
            self.state = _renamed(self.state, old, new) | {new: replace(held, urn=new)}
        self.name = name

    def _done(self, verb: str, options: Options, run: Callable[[Done], None]) -> Done:
        self.wires.begin(self.strike)
        done = Done(effects=self.wires.effects)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(command_line, "_of_pulumi", options.typed(verb))
                run(done)
        except (RequorumError, pulumi.RunError, Cancelled, NotTargeted) as error:
            done.failure = str(error) or type(error).__name__
        except SystemExit as error:
            if error.code != TOLD:
                raise
            done.failure = done.log[-1]
        return done


class Update(mocks.MockMonitor):
    """One update. It is the engine to which the program registers its resources."""

    def __init__(
        self, stack: Stack, raw: Mapping[str, Any], done: Done, *, preview: bool = False, options: Options = PLAIN
    ) -> None:
        super().__init__(_Unused())
        self._preview, self._options, self._name = preview, options, stack.name
        self._replaced: list[Held] = []
        self._wires, self._state, self._done, self._raw = stack.wires, stack.state, done, raw
        self._settings: Settings | None = None
        self._clusters: dict[int, Cluster] = {}
        self._hooks: dict[str, Callable[[Any], Any]] = {}
        self._kept: set[str] = set()
        self._failed: BaseException | None = None

    def run(self) -> None:
        """Raises: what stopped the program or the first provider that failed."""
        self._begin()
        with self._program():
            mocks.set_mocks(
                _Unused(),
                project=PROJECT,
                stack=self._name,
                preview=self._preview,
                logger=_Log(self._done.log),
                monitor=self,
            )
            set_all_config(configuration(self._raw))
            _ensure_event_loop()
            loop = asyncio.get_event_loop()
            loop.set_default_executor(HANDLER)
            loop.set_exception_handler(lambda *_: None)  # one failure is told once, by `up`
            try:
                _sync_await(run_pulumi_func(partial(runpy.run_path, str(PROGRAM))))
            except BaseException as error:
                raise self._failed or error from None
        for held in reversed(self._replaced):
            self._delete(held)
        left = [held for held in reversed(self._state.values()) if held.urn not in self._kept]
        for held in filter(lambda held: self._options.covers(held.name), left):
            self._delete(held)
            del self._state[held.urn]

    def destroy(self) -> None:
        """Delete every resource that the options cover, dependents first. Raises: what the first provider raised."""
        self._begin()
        for held in [held for held in reversed(self._state.values()) if self._options.covers(held.name)]:
            self._delete(held)
            del self._state[held.urn]

    def _begin(self) -> None:
        try:
            self._settings = parse({key: value for key, value in self._raw.items() if key != "recover"})
        except RequorumError:
            self._settings = None  # the program says so; providers keep what they had
        membership._look = membership.Look()
        if self._options.refresh:
            self._refresh()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        """Handle one resource. The program waits for the answer before it registers what depends on this one."""
        _ensure_event_loop()
        if self._failed:
            raise _Stopped
        try:
            urn = self.make_urn(request.parent, request.type, request.name)
            id_, outputs = self._handled(urn, request, rpc.deserialize_properties(request.object))
        except BaseException as error:
            self._failed = error
            raise _Stopped from error
        answer = _sync_await(rpc.serialize_properties(outputs, {}))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=answer)

    @staticmethod
    def key(urn: str, request: Any) -> list[str]:
        """The URNs under which the state may hold a resource: its own, then its aliases."""
        *parents, own = urn.split("::")[2].split("$")
        stack, project = urn.split("::")[:2]
        found = [urn]
        for alias in request.aliases:
            if alias.urn:
                found.append(alias.urn)
                continue
            spec = alias.spec
            kinds = [] if spec.noParent else [spec.parentUrn.split("::")[2]] if spec.parentUrn else parents
            typed = "$".join([*kinds, spec.type or own])
            found.append("::".join([stack, project, typed, spec.name or request.name]))
        return found

    def _handled(self, urn: str, request: Any, inputs: Props) -> tuple[str, Props]:
        if request.type == PREPARED:
            if not self._preview and "host" not in request.ignoreChanges:
                machines = self._wires.swarm.machines.values()
                next(one for one in machines if one.machine_id == inputs["host"]).marked = self._now.cluster
            return request.name, inputs
        if PROVIDER_KEY not in inputs:
            return ("" if not request.custom else request.name), inputs
        known = next((key for key in self.key(urn, request) if key in self._state), None)
        held = self._state.get(known or "")
        if held and "*" in request.ignoreChanges:
            inputs = held.inputs
        if self._options.covers(request.name):
            id_, outputs = self._changed(held, request, inputs)
        elif held:
            id_, inputs, outputs = held.id, held.inputs, held.outputs
        else:
            raise NotTargeted(request.name)
        if known and known != urn:
            self._state = _renamed(self._state, known, urn)
        self._keep(Held(urn, id_, inputs, _as_stored(outputs), self._now))
        return id_, outputs

    def _changed(self, held: Held | None, request: Any, inputs: Props) -> tuple[str, Props]:
        """Create, update or replace a resource, or leave it."""
        provider = self._provider(inputs, self._now)
        if held is None:
            return self._created(provider, request, inputs)
        found = provider.diff(held.id, held.outputs, inputs)
        if request.name in self._options.replace:
            self._replaced.append(held)
            return self._created(provider, request, inputs)
        if not found.changes:
            return held.id, held.outputs
        if found.replaces:
            assert found.delete_before_replace, "no provider of ours replaces otherwise"
            self._delete(held)
            del self._state[held.urn]
            return self._created(provider, request, inputs)
        self._note("update", request.name)
        if self._preview:
            return held.id, {**held.outputs, **inputs}
        self._call(request.hooks.before_update)
        outs = provider.update(held.id, held.outputs, inputs).outs or {}
        return held.id, {**outs, PROVIDER_KEY: inputs[PROVIDER_KEY]}

    def _created(self, provider: ResourceProvider, request: Any, inputs: Props) -> tuple[str, Props]:
        self._note("create", request.name)
        if self._preview:
            return "", inputs
        self._call(request.hooks.before_create)
        made = provider.create(inputs)
        return made.id, {**(made.outs or {}), PROVIDER_KEY: inputs[PROVIDER_KEY]}

    def _delete(self, held: Held) -> None:
        self._note("delete", held.name)
        today = self._settings if self._settings and self._settings.cluster == held.settings.cluster else None
        if not self._preview:
            self._provider(held.inputs, today or held.settings).delete(held.id, held.outputs)

    def _refresh(self) -> None:
        """Read every resource. One that is not there any more leaves the state."""
        for held in [held for held in self._state.values() if self._options.covers(held.name)]:
            today = self._settings if self._settings and self._settings.cluster == held.settings.cluster else None
            read = self._provider(held.inputs, today or held.settings).read(held.id, held.outputs)
            if read.id:
                self._keep(Held(held.urn, held.id, held.inputs, _as_stored(read.outs or {}), held.settings))
            else:
                del self._state[held.urn]
        self._kept.clear()

    def _keep(self, held: Held) -> None:
        self._state[held.urn] = held
        self._kept.add(held.urn)

    def _provider(self, inputs: Props, settings: Settings) -> ResourceProvider:
        """The provider that is named in a resource, on its cluster. All of one cluster share that, as in one process."""
        provider: Any = dill.loads(base64.b64decode(inputs[PROVIDER_KEY]))
        provider._cluster = self._clusters.setdefault(id(settings), Cluster(settings))
        return provider  # type: ignore[no-any-return]

    @property
    def _now(self) -> Settings:
        assert self._settings
        return self._settings

    def _note(self, verb: str, name: str) -> None:
        if len(self._done.operations) == self._options.cancel_after:
            raise Cancelled
        self._done.operations.append(f"{verb} {name}")

    def _call(self, names: Any) -> None:
        for name in names:
            self._hooks[name](None)

    @contextmanager
    def _program(self) -> Iterator[None]:
        """Register hooks here, and keep the providers from talking."""
        hooks = self._hooks

        class Hook(StubResourceHook):
            def __init__(self, name: str, callback: Callable[[Any], Any]) -> None:
                super().__init__(name)
                self.callback = callback
                hooks[name] = callback

        class ErrorHook(StubErrorHook):
            def __init__(self, name: str, _: Callable[[Any], Any]) -> None:
                super().__init__(name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pulumi, "ResourceHook", Hook)
            patch.setattr(pulumi, "ErrorHook", ErrorHook)
            yield


class _Stopped(Exception):
    """What the program gets in place of a failure. It ends at once with this, and not with each failure.

    A future holds no StopIteration, and the program waits for the outputs of a resource that failed with no Exception.
    """


class _Log(logging.Logger):
    """Keeps the lines of Pulumi's log."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("pulumi", logging.INFO)
        self._lines = lines

    def handle(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


class _Unused(mocks.Mocks):
    """Nothing asks it: the update answers itself."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, Props]:
        raise AssertionError(args.name)

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(args.token)


def _as_stored(outputs: Props) -> Props:
    """Outputs as they come back from the state: without null values."""
    return rpc.deserialize_properties(_sync_await(rpc.serialize_properties(outputs, {})))  # type: ignore[no-any-return]


def _renamed(state: dict[str, Held], old: str, new: str) -> dict[str, Held]:
    return {new if urn == old else urn: held for urn, held in state.items()}
