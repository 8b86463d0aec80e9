"""The portal's boundary: every operation is a request dataclass that names its reply; one method carries them all.

Adapters: direct (in-process, latency and faults as world events) and HTTP; both pass one contract suite. A refusal is a
`PortalError` with a stable code and a plain sentence. Times are integer UTC seconds.
"""

from wire.portal_api.account import (
    ChangePassword,
    ConfirmEmail,
    ConfirmReset,
    RequestReset,
    SignUp,
)
from wire.portal_api.audit import (
    AuditPage,
    AuditRecord,
    ReadAudit,
)
from wire.portal_api.company import (
    AcceptInvitation,
    CompanyProfile,
    CompanyUser,
    CompanyUsers,
    DisassociateUser,
    Entitlement,
    GetEntitlements,
    InviteUser,
    ListUsers,
    ResetSecondFactor,
    ValidateCompany,
    WithdrawInvitation,
)
from wire.portal_api.keys import (
    GetKeySet,
    GetRevocationList,
    KeySet,
    RevocationList,
)
from wire.portal_api.login import (
    BeginLogin,
    FinishLogin,
    LoginStep,
    Logout,
    NewRecoveryCodes,
    PortalLogin,
    RecoveryCodes,
    Refresh,
    Session,
)
from wire.portal_api.mail import (
    Mail,
    ReadMail,
)
from wire.portal_api.person import (
    GetStatus,
    IdentityDocuments,
    PersonalProfile,
    ProfileStatus,
)
from wire.portal_api.unlock import (
    RequestUnlock,
    RequestUnlockByFile,
    RevokeUnlock,
    Unlock,
    UnlockFile,
)
from wire.portal_api.words import (
    CheckState,
    CompanyState,
    DocumentKind,
    Done,
    FaceVideo,
    Picture,
    PortalError,
    PortalErrorCode,
    PortalPort,
    R_co,
    Request,
    UnlockKind,
)

__all__ = [
    "AcceptInvitation",
    "AuditPage",
    "AuditRecord",
    "BeginLogin",
    "ChangePassword",
    "CheckState",
    "CompanyProfile",
    "CompanyState",
    "CompanyUser",
    "CompanyUsers",
    "ConfirmEmail",
    "ConfirmReset",
    "DisassociateUser",
    "DocumentKind",
    "Done",
    "Entitlement",
    "FaceVideo",
    "FinishLogin",
    "GetEntitlements",
    "GetKeySet",
    "GetRevocationList",
    "GetStatus",
    "IdentityDocuments",
    "InviteUser",
    "KeySet",
    "ListUsers",
    "LoginStep",
    "Logout",
    "Mail",
    "NewRecoveryCodes",
    "PersonalProfile",
    "Picture",
    "PortalError",
    "PortalErrorCode",
    "PortalLogin",
    "PortalPort",
    "ProfileStatus",
    "R_co",
    "ReadAudit",
    "ReadMail",
    "RecoveryCodes",
    "Refresh",
    "Request",
    "RequestReset",
    "RequestUnlock",
    "RequestUnlockByFile",
    "ResetSecondFactor",
    "RevocationList",
    "RevokeUnlock",
    "Session",
    "SignUp",
    "Unlock",
    "UnlockFile",
    "UnlockKind",
    "ValidateCompany",
    "WithdrawInvitation",
]
