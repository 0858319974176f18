"""The command line that builds an app with Maven, from the variables of the Paketo and Heroku worlds."""

from __future__ import annotations

import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = (
    "BP_MAVEN_BUILD_ARGUMENTS",
    "BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS",
    "BP_MAVEN_ACTIVE_PROFILES",
    "BP_MAVEN_POM_FILE",
    "MAVEN_CUSTOM_GOALS",
    "MAVEN_CUSTOM_OPTS",
)


def maven_arguments(env: Mapping[str, str]) -> list[str]:
    """Options and goals: ``-B -ntp -DskipTests package`` unless variables say otherwise.

    Raises ``Failure`` java.bad-arguments for a variable whose quotes do not close.
    """
    words = ["-B", "-ntp"]
    if pom := env.get("BP_MAVEN_POM_FILE", ""):
        words += ["-f", pom]
    if profiles := env.get("BP_MAVEN_ACTIVE_PROFILES", ""):
        words += ["-P", profiles]
    if "BP_MAVEN_BUILD_ARGUMENTS" in env:
        words += _split(env, "BP_MAVEN_BUILD_ARGUMENTS")
    else:
        words += _split(env, "MAVEN_CUSTOM_OPTS") if env.get("MAVEN_CUSTOM_OPTS") else ["-DskipTests"]
        words += _split(env, "MAVEN_CUSTOM_GOALS") if env.get("MAVEN_CUSTOM_GOALS") else ["package"]
    return words + _split(env, "BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS")


def maven_line(env: Mapping[str, str]) -> str:
    """The command as a user would type it."""
    return shlex.join(["mvn", *maven_arguments(env)])


def _split(env: Mapping[str, str], name: str) -> list[str]:
    try:
        return shlex.split(env.get(name, ""))
    except ValueError as error:
        from pylife_sdk.output import fail

        fail(
            "java.bad-arguments",
            f"{name} is not a list of arguments: {str(error).lower()}.",
            found=f"{name}={env[name]}",
            fix=f"Close each quote, as in\n{name}='-DskipTests \"-Dtitle=two words\" package'",
        )
