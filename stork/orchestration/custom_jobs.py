"""
Custom jobs of Vertex AI: a container that runs once, on one machine, until its command ends.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stork.access.google import GoogleService
from stork.declaration import CustomJob

LABEL = "stork_work"  # a hash of the work that a job does, by which it is found again
RUN = "stork_run"  # the run that it carries out; labels are lower-case
DONE = "JOB_STATE_SUCCEEDED"
FAILED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
PARTLY = "JOB_STATE_PARTIALLY_SUCCEEDED"  # of several workers; there is one
LABEL_LENGTH = 63


@dataclass(frozen=True)
class Job:
    """A job as the service tells of it; `message` says why it failed, `run` which run it carries out."""

    name: str
    state: str
    message: str
    run: str
    created: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Job":
        """From the service's JSON."""
        return cls(
            name=answer["name"],
            state=answer.get("state", "JOB_STATE_UNSPECIFIED"),
            message=answer.get("error", {}).get("message", ""),
            run=answer.get("labels", {}).get(RUN, "").upper(),
            created=answer.get("createTime", ""),
        )

    @property
    def is_over(self) -> bool:
        """Whether it ended, well or not; one that is being cancelled has not yet."""
        return self.state in (DONE, PARTLY, *FAILED) and self.state != "JOB_STATE_CANCELLING"

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


class CustomJobs:
    """The jobs of a declared project and location; `api` is the service's address, empty: Google's."""

    def __init__(self, place: CustomJob, api: str = "") -> None:
        self.place = place
        self.parent = f"projects/{place.project}/locations/{place.location}"
        address = api or f"https://{place.location}-aiplatform.googleapis.com"
        self._service = GoogleService("aiplatform", "v1", address)
        self._jobs = self._service.client.projects().locations().customJobs()

    def create(self, title: str, run: str, work: str, command: Sequence[str], variables: Mapping[str, str]) -> Job:
        """
        Ask for a job, once: whoever cannot know whether a try that failed made one may look with `find`.

        Raises:
            DataError: the service refused, or gives no answer.
        """
        container = {
            "imageUri": self.place.image,
            "command": [*command],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
        }
        worker = {"machineSpec": {"machineType": self.place.machine}, "replicaCount": "1", "containerSpec": container}
        spec: dict[str, Any] = {
            "workerPoolSpecs": [worker],
            "scheduling": {"timeout": f"{self.place.hours * 3600:.0f}s"},
        }
        if self.place.service_account:
            spec["serviceAccount"] = self.place.service_account
        if self.place.staging:
            spec["baseOutputDirectory"] = {"outputUriPrefix": self.place.staging}
        labels = {LABEL: work[:LABEL_LENGTH], RUN: run.lower()}
        body = {"displayName": title, "labels": labels, "jobSpec": spec}
        return Job.of(self._service.call(self._jobs.create(parent=self.parent, body=body), tries=0))

    def find(self, work: str) -> Job | None:
        """
        The newest job that does this work or has done it; None where there is none, or all failed.

        Raises:
            DataError: the service refused, or gives no answer.
        """
        request = self._jobs.list(parent=self.parent, filter=f"labels.{LABEL}={work[:LABEL_LENGTH]}")
        found: list[Job] = []
        while request is not None:
            answer = self._service.call(request)
            found += [Job.of(job) for job in answer.get("customJobs", [])]
            request = self._jobs.list_next(request, answer)
        well = [job for job in found if job.state not in FAILED]
        return max(well, key=lambda job: job.created, default=None)

    def get(self, name: str) -> Job:
        """
        A job as it is now; one try.

        Raises:
            DataError: the service refused, or gives no answer.
        """
        return Job.of(self._service.call(self._jobs.get(name=name), tries=0))

    def console(self, job: Job) -> str:
        """The address of the page that shows a job, its machine's load and its log."""
        place = f"locations/{self.place.location}/training/{job.id}?project={self.place.project}"
        return f"https://console.cloud.google.com/vertex-ai/{place}"

    def close(self) -> None:
        """End the connections."""
        self._service.close()
