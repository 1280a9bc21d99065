"""What a cluster asks of jobs."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.site import read_site

SITE = {"jobs": 4, "cores": 8, "memory": "32GB", "walltime": "08:00:00"}


def test_a_site_is_read():
    site = read_site(json.dumps({**SITE, "gpus": 1, "directives": ["--gres=gpu:1"]}), "site.json")
    assert (site.jobs, site.cores, site.gpus, site.directives, site.queue) == (4, 8, 1, ("--gres=gpu:1",), None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"memory": "much"}, "memory"),
        ({"walltime": "8h"}, "walltime"),
        ({"walltime": "8:00"}, "walltime"),
        ({"jobs": 0}, "jobs"),
        ({"gpu": 1}, "gpu"),
    ],
)
def test_every_error_is_named_with_its_field(change, field):
    with pytest.raises(
        BadInput, match=rf"^site\.json: is no valid description of a site \({field}: .*\); correct it\.$"
    ):
        read_site(json.dumps({**SITE, **change}), "site.json")


@pytest.mark.parametrize(("walltime", "seconds"), [("08:00:00", 28800), ("0:00:09", 9), ("2-12:30:05", 217805)])
def test_a_time_limit_is_a_number_of_seconds(walltime, seconds):
    assert read_site(json.dumps({**SITE, "walltime": walltime}), "site.json").walltime_s == seconds
