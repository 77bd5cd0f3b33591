"""HTML forms: friendly at the field, strict in the services they are handed to."""

from typing import Any

from flask import request
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from flask_wtf.form import _Auto
from werkzeug.datastructures import CombinedMultiDict, ImmutableMultiDict
from wtforms import (
    BooleanField,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional
from wtforms.widgets import DateInput

from patchmgr.domain.accounts import PASSWORD_LENGTH, PASSWORD_LONGEST, Role
from patchmgr.domain.exceptions import Type as ExceptionType
from patchmgr.domain.numbers import whole
from patchmgr.errors import InputError
from patchmgr.services.accounts import THEMES
from patchmgr.services.enrolment import HOURS, MOST_HOURS, MOST_USES
from patchmgr.services.tokens import RUNNER

TYPES = [
    SelectChoice(each.value, each.value.replace("_", " ").capitalize()) for each in ExceptionType
]
ROLES = [SelectChoice(role.value, role.value.capitalize()) for role in Role]


class Form(FlaskForm):  # type: ignore[misc] # WTForms is published without types
    """A form with its token against forgery, which takes a service's refusal to its fields."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc] # see above
        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """Return what was sent: a file only for a field that takes one, and no JSON."""
            if formdata is not _Auto:
                return formdata
            if request.method != "POST":
                return None
            takes = {name for name, field in form._fields.items() if isinstance(field, FileField)}
            files = [(name, file) for name, file in request.files.items() if name in takes]
            return CombinedMultiDict((ImmutableMultiDict(files), request.form))

    def take(self, error: InputError) -> None:
        """Put each problem of ``error`` beside the field it names, the others above the form."""
        for name, why in error.problems.items():
            field = self._fields.get(name)
            if field is None:
                self.form_errors.append(f"{name}: {why}" if name else why)
            else:
                field.errors = [*field.errors, why]


class DayField(StringField):  # type: ignore[misc] # WTForms is published without types
    """A day, in the browser's own way of choosing one."""

    widget = DateInput()


class CountField(IntegerField):  # type: ignore[misc] # WTForms is published without types
    """A whole number, no larger than any of ours: validators cannot compare with every one."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take the number. Raises `ValueError`, which WTForms shows at the field."""
        if not valuelist:
            return
        self.data = whole(valuelist[0].strip())
        if self.data is None:
            raise ValueError("Enter a whole number.")


class SignInForm(Form):
    name = StringField("Name", [InputRequired("Enter your name."), Length(max=200)])
    password = PasswordField("Password", [InputRequired("Enter your password.")])


class PasswordForm(Form):
    current = PasswordField("Current password", [InputRequired("Enter your current password.")])
    password = PasswordField(
        "New password",
        [InputRequired("Enter a new password."), Length(max=PASSWORD_LONGEST)],
        description=f"At least {PASSWORD_LENGTH} characters.",
    )


class PreferencesForm(Form):
    theme = SelectField(
        "Theme",
        choices=[SelectChoice(name, name.capitalize()) for name in THEMES],
        validate_choice=False,
    )
    zone = StringField(
        "Time zone", [Optional()], description="Such as Europe/Vienna; empty for UTC."
    )


class UserForm(Form):
    name = StringField("Name", [InputRequired("Enter a name.")], description="a-z 0-9 . _ - @")
    role = SelectField("Role", choices=ROLES)
    password = PasswordField(
        "First password",
        [InputRequired("Enter a password.")],
        description=f"At least {PASSWORD_LENGTH} characters; they can change it.",
    )


class RoleForm(Form):
    role = SelectField("Role", choices=ROLES)


class TokenForm(Form):
    name = StringField(
        "Name", [InputRequired("Enter a name.")], description="Who or what will use it."
    )
    role = SelectField(
        "Role",
        choices=[*ROLES, SelectChoice(RUNNER, "Runner")],
        description="Runner: fetches orders of plans and reports on them, and nothing else.",
    )


class EnrolmentForm(Form):
    name = StringField(
        "Name", [InputRequired("Enter a name.")], description="What it is for: a site, a rollout."
    )
    uses = CountField(
        "Machines",
        [InputRequired("Say how many."), NumberRange(1, MOST_USES)],
        default=1,
        description="How many may enrol with it.",
    )
    hours = CountField(
        "Hours", [InputRequired("Say how long."), NumberRange(1, MOST_HOURS)], default=HOURS
    )
    host = StringField(
        "Host",
        [Optional(), Length(max=253)],
        description="Only for a reinstalled or replaced machine: it continues this host.",
    )


class ResolveForm(Form):
    resolution = SelectField(
        "The machine is",
        choices=[
            SelectChoice("same", "the known host"),
            SelectChoice("new", "a host of its own"),
            SelectChoice("dismissed", "neither; it stays out"),
        ],
    )
    new_name = StringField(
        "Name of the new host",
        [Optional(), Length(max=253)],
        description="Empty for what it calls itself.",
    )


class ExceptionForm(Form):
    """Fields of the scope are all optional, and one of them is needed: the service says so."""

    cve = StringField(
        "CVE",
        [Optional(), Length(max=64)],
        description="Of advisories that name this one and no other.",
    )
    advisory = StringField("Advisory", [Optional(), Length(max=200)])
    package = StringField(
        "Package", [Optional(), Length(max=200)], description="Installed, or its source."
    )
    host = StringField("Host", [Optional(), Length(max=253)])
    tag = StringField("Tag of hosts", [Optional(), Length(max=200)])
    type = SelectField("Type", choices=TYPES)
    reason = TextAreaField("Reason", [InputRequired("Say why; it is kept with the decision.")])
    owner = StringField(
        "Owner", [Optional(), Length(max=200)], description="Who answers for it; empty for you."
    )
    expires = DayField("Until", [InputRequired("Say until which day.")])


class HoldForm(Form):
    package = StringField(
        "Package",
        [InputRequired("Name a package."), Length(max=200)],
        description="Installed, or its source.",
    )
    versions = StringField(
        "Versions",
        [Optional(), Length(max=200)],
        description="1.2-3, or bounds such as >=1.2,<1.4; empty for every one.",
    )
    platform = StringField(
        "Platform", [Optional(), Length(max=200)], description="debian:12; empty for every one."
    )
    reason = TextAreaField("Reason", [InputRequired("Say why; plans show it.")])
    owner = StringField(
        "Owner", [Optional(), Length(max=200)], description="Who answers for it; empty for you."
    )
    expires = DayField("Until", [InputRequired("Say until which day.")])


class PolicyForm(Form):
    document = TextAreaField("Document", [InputRequired("Enter the policy.")])


class RevokeForm(Form):
    reason = TextAreaField("Reason", [Optional()])


class ConfirmForm(Form):
    """A form without fields of its own: a button on a page that says what it does."""


class ReasonForm(Form):
    """A confirmation that asks why."""

    reason = TextAreaField("Reason", [InputRequired("Say why; it is kept with the decision.")])


__all__ = [
    "BooleanField",
    "ConfirmForm",
    "ExceptionForm",
    "Form",
    "HoldForm",
    "PasswordForm",
    "PolicyForm",
    "PreferencesForm",
    "ReasonForm",
    "RevokeForm",
    "RoleForm",
    "SignInForm",
    "TokenForm",
    "UserForm",
]
