"""A simulated world around the real reconcile loop: API server, kubelet, gateway, registry and verdicts.

Each part moves only when a test moves it, so that a test can put a crash, a conflict or an outage between any two of
them. Every write of the operator is checked against the promises that must be true at that moment.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

from sluice_operator.api import names, spec, status
from sluice_operator.api.allowed_routes import AllowedRoutes
from sluice_operator.api.command import Verb, asked, text_of
from sluice_operator.api.observation import (
    Observation,
    Proof,
    Refusal,
    Resolution,
    Signatures,
    Unreachable,
    Workload,
)
from sluice_operator.api.owner import Key, Manifest, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Phase
from sluice_operator.api.signature import Signature
from sluice_operator.api.status import SIGNATURE_CHANGED, Status, Verdict
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.judged import Judged
from sluice_operator.controller.observation import adoption
from sluice_operator.controller.observation.observe import Observer, Snapshot
from sluice_operator.controller.observation.route_edits import RouteEdits
from sluice_operator.controller.reconcile import Reconciler
from sluice_operator.kubernetes import preparation
from sluice_operator.kubernetes.cache import Cache, Recent
from sluice_operator.kubernetes.children import Budgets
from sluice_operator.kubernetes.pods import by_revision
from sluice_operator.kubernetes.port import ReadRefused, Reads
from sluice_operator.manifests.render import render
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.uris import ByAlias, Named
from sluice_operator.rollout import revisions
from sluice_operator.rollout.preparation import jobs, workloads
from sluice_operator.rollout.rejections import is_for_answers
from sluice_operator.rollout.roles import serves
from sluice_operator.routing.canary_share import probe_header
from sluice_operator.routing.router import router_for
from tests.unit.sluice_operator import canary_routes
from tests.unit.sluice_operator.build import (
    DEFAULTS,
    DEFAULTS_WITH_STORE,
    LIVE,
    NOW,
    OWNER,
    PASS,
    ROLLOUT,
    UNDECIDED,
    WITH_STORE,
    not_live,
    raw_spec,
    resolved,
    signature,
)
from tests.unit.sluice_operator.fakes import CutOffError, FakeKube, Reference, finish
from tests.unit.sluice_operator.job_controller import JobController
from tests.unit.sluice_operator.recorded import FakeEndedRuns

IRIS: Reference = (names.KIND, "iris")
SIGNATURE = signature("length", "width")
NO_NODE = Refusal("NoCapacity", "0/3 nodes are available")
JUDGED = (Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.WATCHING)


class Aliases(BackgroundRegistry):
    """A registry that holds one alias."""

    def __init__(self) -> None:
        self.champion: str | None = None
        self.answers = True

    def move_alias(self, key: Key, via: Connection, named: Named, version: str) -> None:
        if self.answers:
            self.champion = version

    def leave_alias(self, key: Key) -> None: ...

    def alias_version(self, key: Key, via: Connection, named: Named) -> str | None:
        return self.champion if self.answers else None


class Copies(Cache):
    """What watches have told of the cluster, as it was when they caught up last. No watch tells of some kinds."""

    def __init__(self, kube: FakeKube) -> None:
        self._kube, self._copies = kube, FakeKube()

    def catch_up(self) -> None:
        self._copies.objects = dict(self._kube.objects)

    def version(self, key: Key) -> str:
        body = self._copies.objects.get((names.KIND, key[1]))
        return str(body["metadata"]["resourceVersion"]) if body else ""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self._of(kind).get(kind, namespace, name)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return await self._of(kind).find(kind, namespace, labels)

    def _of(self, kind: str) -> FakeKube:
        return self._kube if kind in ("Secret", "ConfigMap") else self._copies


class World(Observer):
    """The surroundings of the operator, and the observer that reads them."""

    def __init__(self, kube: FakeKube | None = None, **changes: Any) -> None:
        """`changes`: of the spec."""
        self.kube = kube or FakeKube()
        self.copies, self.watches_are_late = Copies(self.kube), False
        self.now = NOW
        self.asked = 0  # commands
        self.records = FakeEndedRuns()
        self.resolution: Resolution = resolved(1)
        self.broken: set[str] = set()  # model versions whose pods do not get ready
        self.without_room: set[str] = set()  # likewise, whose pods get no node
        self.unservable: set[str] = set()  # likewise, whose preparation is refused
        self.has_store = False
        self.tracking_uri = OWNER.tracking_uri
        self.partly: set[str] = set()  # likewise, of whose pods only one gets ready
        self.verdicts: dict[str, Verdict] = {}  # by model version; a Pass for all others
        self.signatures: dict[str, Signature | None] = {}  # by model version; `SIGNATURE` for all others
        self.registry = Aliases()
        self.allowed_routes = AllowedRoutes()
        self.race: Callable[[], None] = lambda: None  # happens between an observation and the writes that follow it
        self._ready: dict[str, int] = {}  # pods of a revision, as the kubelet left them
        self._contents: dict[str, str] = {}  # what the pods of a revision fetch
        self._without_model: set[str] = set()  # revisions whose pods do not find their model in the store
        self._role = ""  # the revision that plain requests reach
        self._header = ""  # of the canary's route, as the gateway last read it
        rollout = {**ROLLOUT, "watchAfterPromotion": "60s"}
        metadata = {"name": "iris", "namespace": "models", "uid": OWNER.uid, "generation": 1}
        self.kube.put({"kind": names.KIND, "metadata": metadata, "spec": raw_spec(rollout=rollout, **changes)})
        self.spec = copy.deepcopy(self.kube.objects[IRIS]["spec"])
        self.jobs = JobController(self.kube)
        self.kube.before_write = self.check_promises
        self.start_operator()

    @property
    def owner(self) -> Owner:
        return replace_seen(WITH_STORE if self.has_store else OWNER, tracking_uri=self.tracking_uri)

    # What others do

    def _seconds(self) -> float:
        return self.now.timestamp()

    def start_operator(self) -> None:
        """Start a new process, which knows only what the cluster holds."""
        self.route_edits = RouteEdits()
        self.recent = Recent(self.copies, self._seconds)
        self.operator = Reconciler(
            self.kube,
            self,
            self.registry,
            EventPublisher(self.kube, "test"),
            Archive(self.kube, self.records),
            5.0,
        )

    def edit_spec(self, **changes: Any) -> None:
        self.spec = raw_spec(**{"rollout": self.spec["rollout"], "traffic": self.spec["traffic"], **changes})
        body = self.kube.objects[IRIS]
        generation = body["metadata"]["generation"] + 1
        self.kube.put({**body, "metadata": {**body["metadata"], "generation": generation}, "spec": self.spec})

    def ask(self, verb: Verb, named: str, step: int) -> str:
        """A person writes a command, each at another time. Its id."""
        self.asked += 1
        body = self.kube.objects[IRIS]
        text = text_of(verb, named, step, self.now + timedelta(milliseconds=self.asked))
        metadata = {**body["metadata"], "annotations": {names.ANNOTATION_COMMAND: text}}
        self.kube.put({**body, "metadata": metadata})
        return text

    def run_pods(self) -> None:
        """The kubelet catches up with the Deployments and the Jobs."""
        lost = isinstance(self.resolution, Unreachable)
        self.jobs.catch_up(self.now, registry_answers=not lost, refused=self.unservable, no_room=self.without_room)
        serving, self._ready, self._without_model = self._ready, {}, set()
        for (kind, _), manifest in self.kube.objects.items():
            if kind == "Deployment":
                healthy = _version(manifest) not in self.broken | self.without_room
                revision = manifest["metadata"]["labels"][names.LABEL_REVISION]
                if not serving.get(revision) and not self.jobs.finds_model(manifest):  # else another pod gives it
                    self._without_model.add(revision)
                    healthy = False
                most = 1 if _version(manifest) in self.partly else manifest["spec"]["replicas"]
                self._ready[revision] = min(manifest["spec"]["replicas"], most) if healthy else 0
                self._contents[revision] = self.jobs.content(manifest)

    def lose_pods(self, version: str) -> None:
        """No pod of this model version is ready any more."""
        for (kind, _), manifest in self.kube.objects.items():
            if kind == "Deployment" and _version(manifest) == version:
                self._ready[manifest["metadata"]["labels"][names.LABEL_REVISION]] = 0

    def edit_weight(self, weight: int) -> None:
        """Somebody else writes the canary's route."""
        route = canary_routes.of(self.kube.objects)
        assert route is not None
        self.kube.put(canary_routes.edited(route, weight))

    def sync_gateway(self) -> None:
        """The gateway catches up with Service and routes."""
        service = self.kube.objects.get(("Service", "iris"))
        self._role = service["spec"]["selector"].get(names.LABEL_REVISION, "") if service else ""
        route = canary_routes.of(self.kube.objects)
        self._header = canary_routes.header(route) if route else ""

    def reconcile(self, cut_after: int | None = None) -> None:
        """One reconcile. With `cut_after`, the operator is killed after that many writes and started again."""
        if not self.watches_are_late:
            self.copies.catch_up()
        self.kube.cut_after = None if cut_after is None else self.kube.writes + cut_after
        try:
            finish(Judged(self.operator, self, self.copies, self.recent)("models", "iris"))
        except CutOffError:
            self.start_operator()
        self.kube.cut_after = None

    def advance_until(self, phase: Phase) -> None:
        """Undisturbed reconciles, two seconds apart, until the object is in `phase`."""
        for _ in range(60):
            if self.status.phase is phase and self.status.stable is not None:
                return
            self.reconcile()
            self.run_pods()
            self.sync_gateway()
            self.now += timedelta(seconds=2)
        raise AssertionError(f"not {phase} but {self.status.phase}: {self.status.message}")

    def calm_down(self, passes: int = 60) -> None:
        """Let everything work and time go on, for `passes` reconciles 30 s apart."""
        for _ in range(passes):
            self.reconcile()
            self.run_pods()
            self.sync_gateway()
            self.now += timedelta(seconds=30)

    # What the operator sees

    @property
    def status(self) -> Status:
        """What is written; of a status that no operator follows, the part that stands by itself."""
        raw = self.kube.objects[IRIS].get("status")
        try:
            return status.parse(raw)
        except status.UnreadableStatusError:
            return status.kept(raw)

    async def observe(self, namespace: str, name: str, refused: str = "") -> Snapshot | None:
        return await self.observe_in(self.kube, namespace, name, refused)

    async def observe_in(self, reads: Reads, namespace: str, name: str, refused: str = "") -> Snapshot | None:
        body = await reads.get(names.KIND, namespace, name)
        assert body is not None
        if body["metadata"].get("deletionTimestamp"):
            return None
        wanted = spec.parse(body["spec"])
        routes = router_for(wanted.traffic).objects(name)
        followed = await adoption.read(reads, self.owner, body, routes, Budgets(reads), self.now)
        current, owned = followed.status, followed.children
        edits = self.route_edits.look(self.owner, current, owned, self.now)
        in_doubt = edits and current.weight is not None and current.weight.verified_at is not None
        seen = Observation(
            now=self.now,
            namespace=namespace,
            name=name,
            generation=body["metadata"]["generation"],
            spec=wanted,
            status=current,
            defaults=DEFAULTS_WITH_STORE if self.has_store else DEFAULTS,
            resolution=self.resolution,
            workloads=await self._workloads(reads, current),
            selected=owned.selected(self.owner),
            answered=self._ready.get(owned.selected(self.owner), 0) > 0,
            adopted=bool(followed.adopted),
            foreign=owned.foreign,
            route_refusal=self.allowed_routes.refusal(namespace, wanted.traffic),
            route_edits=edits,
            refused=refused,
            unreadable=owned.unreadable,
            rate=5.0,
            verdict=None if in_doubt else self._simulated_verdict(current),
            alias_version=self.registry.alias_version(("models", "iris"), Connection(), ByAlias("iris", "champion")),
            command=asked(body),
        )
        race, self.race = self.race, lambda: None
        race()
        return Snapshot(body, self.owner, owned, self._with_proofs(seen), followed.adopted)

    @property
    def selected(self) -> str:
        """The revision that Service iris selects; empty before there is one."""
        service = self.kube.objects.get(("Service", "iris"))
        return str(service["spec"]["selector"][names.LABEL_REVISION]) if service else ""

    async def _workloads(self, reads: Reads, current: Status) -> dict[str, Workload]:
        prepared: dict[str, Workload] = {}
        pods = await reads.find("Pod", "models", {names.LABEL_PREPARES: "iris"})
        try:
            there = await reads.find("Job", "models", {}) if self.has_store else []
        except ReadRefused:  # an older ClusterRole knows no Jobs
            there = []
        for _, run in jobs(current):
            prepared |= preparation.by_revision(pods, there, run)
        deployments = await reads.find("Deployment", "models", {})
        made = by_revision([], deployments)
        with_pods = {revision: self._workload(revision, made.get(revision, Workload())) for revision in self._ready}
        return workloads(current, made | with_pods, prepared)

    def _workload(self, named: str, made: Workload) -> Workload:
        """`made`: what its Deployment alone shows."""
        deployment, ready = self.kube.objects.get(("Deployment", f"iris-{named}")), self._ready[named]
        no_node = deployment is not None and _version(deployment) in self.without_room and ready == 0
        lost = deployment is not None and named in self._without_model and ready == 0
        return Workload(
            ready=ready,
            pods=ready or int(named in self._without_model),
            obstacle=NO_NODE if no_node else None,
            from_store=made.from_store,
            digest=made.digest,
            unavailable="NotInStore" if lost else "",
            with_model=ready,
        )

    def ready(self, revision: Revision | None) -> int:
        return self._ready.get(revision.revision, 0) if revision else 0

    def _with_proofs(self, seen: Observation) -> Observation:
        current, run = seen.status, seen.status.run
        if run is None:
            return seen
        if current.weight is not None and self.ready(current.canary):
            obeys = self._header == probe_header(current.weight)
            proof = LIVE if current.weight.verified_at or obeys else not_live()
            smoke = proof if current.phase is Phase.STARTING and proof.live else None
            signatures = self._signatures(current) if smoke is not None else None
            return replace_seen(seen, weight=proof, smoke=smoke, signatures=signatures, swap=self._swap_proof(seen))
        return replace_seen(seen, swap=self._swap_proof(seen))

    def _signatures(self, current: Status) -> Signatures:
        roles = (current.stable, current.canary)
        return Signatures(*(self.signatures.get(role.model.version, SIGNATURE) if role else None for role in roles))

    def _swap_proof(self, seen: Observation) -> Proof | None:
        current, serving = seen.status, serves(seen.status)
        swapping = current.phase in (Phase.INITIALIZING, Phase.SWAPPING, Phase.FAILOVER)
        if not swapping and not (current.phase is Phase.ROLLING_BACK and current.weight is None):
            return None
        full = self.ready(serving) >= seen.spec.server.replicas
        return LIVE if full and serving is not None and self._role == serving.revision else not_live()

    def _simulated_verdict(self, current: Status) -> Verdict | None:
        run, watching = current.run, current.phase is Phase.WATCHING
        subject = current.stable if watching else current.canary
        if current.phase not in JUDGED or run is None or run.traffic_started_at is None or subject is None:
            return None
        verdict = self.verdicts.get(subject.model.version, PASS)
        return UNDECIDED if verdict == PASS and (watching or run.step_started_at is None) else verdict

    # What must be true whenever the operator writes

    def check_promises(self, verb: str, manifest: Manifest) -> None:
        if manifest["kind"] in ("Event", "Secret", "ConfigMap"):
            return
        if manifest["kind"] == names.KIND:
            assert (verb, manifest["spec"]) == ("status", self.spec), "the spec is the user's"
            status.parse(manifest["status"])  # what is written can be read again
            return
        if "spec" not in manifest and "data" not in manifest:  # labels and owner of a Deployment
            return
        self._follows_status(verb, manifest)
        current, name = self.status, manifest["metadata"]["name"]
        if verb != "delete" and (weight := canary_routes.weight(manifest)) is not None:
            assert weight == 0 or self._may_take_traffic(current), f"weight {weight} in {current.phase}"
        if (manifest["kind"], name) == ("Service", "iris"):
            selected = names.NO_REVISION if verb == "delete" else manifest["spec"]["selector"][names.LABEL_REVISION]
            exists = ("Deployment", f"iris-{selected}") in self.kube.objects or selected in _made_anew(current)
            assert exists or selected == names.NO_REVISION, "Service iris selects pods of a Deployment"
            there = ("Deployment", f"iris-{self.selected}") in self.kube.objects
            answered = there and self._ready.get(self.selected, 0) > 0
            assert self._ready.get(selected, 0) > 0 or not answered, "a Service that had ready endpoints keeps some"
            bad = self._is_rejected(current, for_answers=True) if current.phase is Phase.FAILOVER else False
            assert not bad, "rejected for its answers, and all requests"
        if manifest["kind"] == "Deployment":
            revision = manifest["metadata"]["labels"][names.LABEL_REVISION]
            assert self.jobs.can_start(manifest), "pods start with a model that is in the store"
            needed = {role.revision for role in (current.stable, current.previous) if role}
            full = manifest["spec"]["replicas"] == self.spec["server"]["replicas"]
            if verb == "delete" and revision in _made_anew(current):
                assert not self._ready.get(revision), "no pods with a model go because the store has lost it"
                return
            assert revision not in needed or (full and verb != "delete"), "stable and previous have all of their pods"
            assert verb != "delete" or revision != self.selected, "the pods that Service iris selects stay"
            contents = {self.jobs.content(manifest), self._contents[revision] if self._ready.get(revision) else ""}
            assert len(contents - {""}) < 2, "a revision never has two contents"

    def _follows_status(self, verb: str, manifest: Manifest) -> None:
        """Status is written first: an object is written as the stored status asks, or deleted if it does not."""
        rendered = render(self.owner, spec.parse(self.spec), self.status)
        by_reference = {(wanted["kind"], wanted["metadata"]["name"]): wanted for wanted in rendered}
        stored = by_reference.get((manifest["kind"], manifest["metadata"]["name"]))
        if verb == "delete":
            anew = manifest["kind"] == "Job" and stored is not None and _is_over(manifest, stored)
            assert stored is None or anew, "deleted, though status asks for it"
        elif stored is None:
            going = "deletionTimestamp" in self.kube.objects[IRIS]["metadata"]
            leads_to_stable = manifest["kind"] == names.HTTP_ROUTE and canary_routes.weight(manifest) is None
            assert (going, leads_to_stable) == (True, True), "written, though status does not ask for it"
        else:
            part = "replicas" if verb == "scale" else "selector" if manifest["kind"] == "Service" else "rules"
            assert stored["spec"].get(part) == manifest["spec"].get(part), "written otherwise than status asks for"

    def _is_rejected(self, current: Status, *, for_answers: bool = False) -> bool:
        """Whether the canary failed before under the objectives that it is judged by."""
        run, canary = current.run, current.canary
        assert run is not None
        assert canary is not None
        judged_by = canary.revision, revisions.objectives_hash(run.objectives)
        allowed = SIGNATURE_CHANGED if self.spec["model"].get("allowSignatureChange") else ""
        return any(
            (entry.revision, entry.objectives_hash) == judged_by
            and entry.reason != allowed
            and (is_for_answers(entry.reason) or not for_answers)
            for entry in current.rejected
        )

    def _may_take_traffic(self, current: Status) -> bool:
        run, canary = current.run, current.canary
        taking = Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.FAILOVER
        if run is None or canary is None or current.phase not in taking:
            return False
        return not self._is_rejected(current) and (self.ready(canary) > 0 or serves(current) == canary)

    # The state in the end

    def run_records(self) -> list[Manifest]:
        return finish(self.kube.find("ConfigMap", "models", {names.LABEL_RECORD: names.RUN_RECORD}))

    def end(self) -> dict[str, Any]:
        """All that must not depend on crashes and races on the way: without times and ids."""
        current = self.status
        objects = {
            reference: manifest["spec"]
            for reference, manifest in self.kube.objects.items()
            if reference[0] not in (names.KIND, "Secret", "ConfigMap")
        }
        records = [(record["data"]["startedAt"], record["data"]["outcome"]) for record in self.run_records()]
        return {
            "phase": current.phase,
            "stable": current.stable,
            "canary": current.canary and current.canary.revision,
            "weight": current.weight and current.weight.desired,
            "rejected": [(entry.revision, entry.reason) for entry in current.rejected],
            "history": [(entry.model, entry.outcome, entry.reason) for entry in current.history],
            "alias": (self.registry.champion, current.alias),
            "records": [outcome for _, outcome in sorted(records)],
            "objects": objects,
        }


def _is_over(job: Manifest, wanted: Manifest) -> bool:
    """Whether a Job may be made anew: it has failed, or is of an earlier run."""
    runs = {each["metadata"]["labels"][names.LABEL_RUN] for each in (job, wanted)}
    return bool(preparation.failure(job)) or len(runs) == 2


def _made_anew(current: Status) -> set[str]:
    """The revisions whose pods cannot start, and go before others come with what was prepared in place of it."""
    roles = (current.stable, current.canary, current.previous)
    return {role.revision for role in roles if role is not None and role.lost is not None and role.lost.digest}


def _version(deployment: Manifest) -> str:
    """The model version that its pods serve."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    environment: dict[str, str] = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    return environment["SLUICE_MODEL_VERSION"]
