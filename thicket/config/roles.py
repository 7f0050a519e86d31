"""What an option of conf/method makes: specialists, students, or either."""

from thicket.config.library import Library
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.problems import ConfigError
from thicket.config.schema import tags

TYPES = {"specialist": SpecialistMethod, "student": StudentMethod}


def makes(library: Library, option: str, kind: str) -> bool:
    """Whether the option's type makes a model of the kind. Raises: ConfigError where its file can't be read."""
    return library.option("method", option).value.get("type") in tags(TYPES[kind])


def makers(library: Library, kind: str) -> list[str]:
    """The options that make a model of the kind; one that can't be read is a problem of its own."""
    found = []
    for option in library.options("method"):
        try:
            if makes(library, option, kind):
                found.append(option)
        except ConfigError:
            continue
    return found
