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
    [({"memory": "much"}, "memory"), ({"walltime": "8h"}, "walltime"), ({"jobs": 0}, "jobs"), ({"gpu": 1}, "gpu")],
)
def test_every_error_is_named_with_its_field(change, field):
    with pytest.raises(
        BadInput, match=rf"^site\.json: is no valid description of a site \({field}: .*\); correct it\.$"
    ):
        read_site(json.dumps({**SITE, **change}), "site.json")
