"""Changing accounts: create, patch, roles, activation, verification, password."""

from __future__ import annotations

import msgspec

from mmconsole.simulator import passwords, permissions, rules, views
from mmconsole.simulator.entities import ADMIN_ROLE, USER_ROLE, User
from mmconsole.simulator.errors import AppError, bad_body, forbidden, no_user
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done

ROLE_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


class NewUser(msgspec.Struct):
    """What `POST /users` reads of its body. `roles` is not read at all."""

    username: str | None = None
    email: str | None = None
    password: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    nickname: str | None = None
    position: str | None = None
    locale: str | None = None
    auth_service: str | None = None
    auth_data: str | None = None
    email_verified: bool | None = None
    disable_welcome_email: bool | None = None
    props: dict[str, str] | None = None
    notify_props: dict[str, str] | None = None
    timezone: dict[str, str] | None = None


class UserPatch(msgspec.Struct):
    """What a patch may change. Roles, activity and sign-in service are not among it."""

    username: str | None = None
    email: str | None = None
    password: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    nickname: str | None = None
    position: str | None = None
    locale: str | None = None
    props: dict[str, str] | None = None
    notify_props: dict[str, str] | None = None
    timezone: dict[str, str] | None = None


class WholeUser(UserPatch):
    """What `PUT /users/{id}` reads: the id must repeat the path."""

    id: str = ""


def create(call: Call) -> Reply:
    wanted = call.decode(NewUser, "user")
    is_admin = call.asker is not None and call.asker.is_admin
    if not is_admin:
        wanted.auth_service = wanted.auth_data = wanted.email_verified = None
        _check_sign_up(call)
    if call.state.at_user_limit():
        raise AppError("api.user.create_user.user_limits.exceeded", 400)
    user = _build(call, wanted)
    check_unique(call, user, user.username, user.email)
    call.state.add_user(user)
    if not wanted.disable_welcome_email:
        call.state.mail(user)
    fields = views.own_fields(user)
    fields["disable_welcome_email"] = bool(wanted.disable_welcome_email)
    return answer(fields, 201)


def _check_sign_up(call: Call) -> None:
    config = call.state.config
    if not (config["EmailSettings", "EnableSignUpWithEmail"] and config["TeamSettings", "EnableUserCreation"]):
        raise AppError("api.user.create_user.signup_email_disabled.app_error", 501)
    if call.state.users and not config["TeamSettings", "EnableOpenServer"]:
        raise AppError("api.user.create_user.no_open_server", 403)


def _build(call: Call, wanted: NewUser) -> User:
    state, now = call.state, call.state.millis()
    email = (wanted.email or "").strip().lower()
    if not rules.in_domains(email, state.config["TeamSettings", "RestrictCreationToDomains"]):
        raise AppError("api.user.create_user.accepted_domain.app_error", 400)
    if not wanted.auth_service:
        rules.check_password(wanted.password or "", state.config)
    id_ = state.ids.new()
    locale = wanted.locale or ""
    user = User(id_, (wanted.username or state.ids.new()).lower(), email, now, now)
    user.roles = USER_ROLE if state.users else f"{ADMIN_ROLE} {USER_ROLE}"
    user.locale = locale if locale in rules.LOCALES else state.config["LocalizationSettings", "DefaultClientLocale"]
    user.password = passwords.hashed(wanted.password, id_) if wanted.password else ""
    user.last_password_update = now
    user.auth_service, user.auth_data = wanted.auth_service or "", wanted.auth_data or ""
    user.email_verified = bool(wanted.email_verified)
    user.props, user.notify_props, user.timezone = wanted.props, wanted.notify_props, wanted.timezone
    for name in ("first_name", "last_name", "nickname", "position"):
        setattr(user, name, _as_kept(name, getattr(wanted, name) or ""))
    rules.check_user(user)
    return user


def _as_kept(name: str, text: str) -> str:
    return rules.sanitized(text) if name.endswith("name") else text


def check_unique(call: Call, user: User, username: str, email: str) -> None:
    if call.state.by_email.get(email, user) is not user:
        raise AppError("app.user.save.email_exists.app_error", 400)
    if call.state.by_username.get(username, user) is not user:
        raise AppError("app.user.save.username_exists.app_error", 400)


def patch(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    wanted = call.decode(UserPatch, "user")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    user = call.state.users.get(user_id)
    if user is None:
        raise bad_body("user_id")
    return _change(call, user, wanted, "patch_user")


def update(call: Call) -> Reply:
    """The whole object: what is left out becomes empty."""
    user_id = call.id(0, "user_id")
    wanted = call.decode(WholeUser, "user")
    if wanted.id != user_id:
        raise bad_body("user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    for name in ("username", "email", "first_name", "last_name", "nickname", "position", "locale"):
        setattr(wanted, name, getattr(wanted, name) or "")
    return _change(call, user, wanted, "update_user")


def _change(call: Call, user: User, wanted: UserPatch, what: str) -> Reply:
    if user.is_admin and not call.user.is_admin:
        raise forbidden()
    if user.auth_service and _provided_elsewhere(user, wanted):
        raise AppError(f"api.user.{what}.login_provider_attribute_set.app_error", 409)
    if wanted.email is not None and wanted.email != user.email and call.user is user:
        _confirm(user, wanted.password)
    _apply(call, user, wanted)
    call.audit("")
    return Reply(views.for_self(user))


def _provided_elsewhere(user: User, wanted: UserPatch) -> bool:
    """Names of an account that signs in by LDAP or SAML come from there."""
    if user.auth_service not in ("ldap", "saml"):
        return False
    names = ("username", "first_name", "last_name", "nickname", "position", "email")
    return any(getattr(wanted, name) not in (None, getattr(user, name)) for name in names)


def _confirm(user: User, password: str | None) -> None:
    """One's own address is changed only with one's password."""
    if password is None:
        raise bad_body("password")
    if not passwords.matches(password, user.id, user.password):
        raise AppError("api.user.check_user_password.invalid.app_error", 401)


def _apply(call: Call, user: User, wanted: UserPatch) -> None:
    state, changed = call.state, msgspec.structs.asdict(wanted)
    username = user.username if wanted.username is None else wanted.username.lower()
    email = user.email if wanted.email is None or user.auth_service else wanted.email.strip().lower()
    draft = User(user.id, username, email, user.create_at, user.update_at, roles=user.roles)
    names = ("first_name", "last_name", "nickname", "position", "locale")
    for name in names:
        setattr(draft, name, getattr(user, name) if changed[name] is None else _as_kept(name, changed[name]))
    rules.check_user(draft)
    if email != user.email and not rules.in_domains(email, state.config["TeamSettings", "RestrictCreationToDomains"]):
        raise AppError("api.user.update_user.accepted_domain.app_error", 400)
    check_unique(call, user, username, email)
    for name in names:
        setattr(user, name, getattr(draft, name))
    for name in ("props", "notify_props", "timezone"):
        if changed[name] is not None:
            setattr(user, name, changed[name])
    _apply_names(call, user, username, email)
    state.touch(user)


def _apply_names(call: Call, user: User, username: str, email: str) -> None:
    state = call.state
    if username != user.username:
        state.rename(user, username)
        state.mail(user)
    if email == user.email:
        return
    state.mail(user)
    # Under RequireEmailVerification the new address waits for its owner's click; the answer holds the old one (3.2).
    if not state.config["EmailSettings", "RequireEmailVerification"]:
        state.readdress(user, email)
        user.email_verified = False


def set_active(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    active = call.mapping().get("active")
    if not isinstance(active, bool):
        raise bad_body("active")
    leaves = not active and user_id == call.user.id
    if not leaves and not permissions.may(call.user, "sysconsole_write_user_management_users"):
        raise AppError("api.user.update_active.permissions.app_error", 403)
    if leaves and not call.state.config["TeamSettings", "EnableUserDeactivation"]:
        raise AppError("api.user.update_active.not_enable.app_error", 401)
    user = _editable(call, user_id)
    if user.auth_service == "ldap":
        raise AppError("api.user.update_active.cannot_modify_status_when_user_is_managed_by_ldap.app_error", 403)
    if active and user.is_guest and not call.state.config["GuestAccountsSettings", "Enable"]:
        raise AppError("api.user.update_active.cannot_enable_guest_when_guest_feature_is_disabled.app_error", 401)
    if active and user.delete_at and not user.is_bot and call.state.at_user_limit():
        raise AppError("app.user.update_active.user_limit.exceeded", 400)
    change_activity(call, user, active=active)
    call.audit(f"user_id={user.id} active={str(active).lower()}")
    return done()


def _editable(call: Call, user_id: str) -> User:
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    if user.is_admin and not call.user.is_admin:
        raise forbidden()
    return user


def change_activity(call: Call, user: User, *, active: bool) -> None:
    state = call.state
    state.set_active(user, active=active)
    if active or not state.config["ServiceSettings", "DisableBotsWhenOwnerIsDeactivated"]:
        return
    for bot in [bot for bot in state.users.values() if bot.bot_owner == user.id and not bot.delete_at]:
        state.set_active(bot, active=False)


def delete(call: Call) -> Reply:
    """Deactivates; permanently only where the server allows it."""
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    leaves = user_id == call.user.id and not call.user.is_admin
    if leaves and not call.state.config["TeamSettings", "EnableUserDeactivation"]:
        raise AppError("api.user.update_active.not_enable.app_error", 401)
    user = _editable(call, user_id)
    if not call.flag("permanent"):
        change_activity(call, user, active=False)
    elif call.state.config["ServiceSettings", "EnableAPIUserDeletion"]:
        call.state.remove_user(user)
    else:
        ending = ".for_admin.app_error" if call.user.is_admin else ".app_error"
        raise AppError("api.user.delete_user.not_enabled" + ending, 401)
    return done()


def set_roles(call: Call) -> Reply:
    """Replaces the whole list; there is no version to compare, so two writers overwrite each other."""
    user_id = call.id(0, "user_id")
    text = call.texts().get("roles", "")
    roles = text.split()
    if roles == [ADMIN_ROLE] or not all(set(role) <= ROLE_NAME_CHARACTERS for role in roles):
        raise bad_body("roles")
    if not call.state.licensed and not permissions.LICENSED_ROLES.isdisjoint(roles):
        raise AppError("api.user.update_user_roles.license.app_error", 400)
    if not permissions.may(call.user, "manage_roles"):
        raise forbidden()
    user = call.state.users.get(user_id)
    if user is None:
        raise AppError("app.user.missing_account.const", 400)
    if not permissions.ROLES.issuperset(roles):
        raise AppError("app.role.check_roles_exist.role_not_found", 400)
    if user.is_admin and ADMIN_ROLE not in roles and call.state.admins() <= 1:
        raise AppError("app.user.update.lastAdmin.app_error", 400)
    user.roles = " ".join(roles)
    call.state.touch(user)
    call.audit(f"user={user.id} roles={text}")
    return done()


def verify(call: Call) -> Reply:
    """Verifies the present address without a mail."""
    user_id = call.id(0, "user_id")
    if not call.user.is_admin:
        raise forbidden()
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    user.email_verified = True
    call.state.touch(user)
    return Reply(views.for_admin(user))


def set_password(call: Call) -> Reply:
    """Ends sessions, but tokens go on working (1.6)."""
    user_id, body = call.id(0, "user_id"), call.texts()
    new = body.get("new_password", "")
    user = call.state.users.get(user_id)
    if user is not None and user is call.user:
        if not body.get("current_password"):
            raise bad_body("current_password")
        if not passwords.matches(body["current_password"], user.id, user.password):
            raise AppError("api.user.update_password.incorrect.app_error", 400)
    elif user is None or not call.user.is_admin:
        raise AppError("api.user.update_password.context.app_error", 403)
    rules.check_password(new, call.state.config)
    user.password = passwords.hashed(new, user.id)
    call.state.touch(user)
    user.last_password_update = user.update_at
    call.state.end_sessions(user.id)
    return done()


def set_auth(call: Call) -> Reply:
    if not call.user.is_admin:
        raise forbidden()
    user_id, body = call.id(0, "user_id"), call.texts()
    if not body.get("auth_data") or not body.get("auth_service"):
        raise AppError("api.user.update_user_auth.invalid_request", 400)
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    user.auth_service, user.auth_data, user.password = body["auth_service"], body["auth_data"], ""
    call.state.touch(user)
    return answer({"auth_service": user.auth_service, "auth_data": user.auth_data})


ROUTES = (
    Route("POST", "/users", create, session=False),
    Route("PUT", "/users/{id}", update),
    Route("PUT", "/users/{id}/patch", patch),
    Route("PUT", "/users/{id}/active", set_active),
    Route("DELETE", "/users/{id}", delete),
    Route("PUT", "/users/{id}/roles", set_roles),
    Route("POST", "/users/{id}/email/verify/member", verify),
    Route("PUT", "/users/{id}/password", set_password),
    Route("PUT", "/users/{id}/auth", set_auth),
)
