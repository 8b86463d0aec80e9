"""Codes of ISO 14229-1 that both sides share: services, negative response codes, sub-function bits, timing defaults.

Sources: domain facts as read in open implementations (udsoncan, scapy, gallia); names are the standard's.
"""

from __future__ import annotations

from enum import IntEnum

NEGATIVE_RESPONSE = 0x7F
POSITIVE_OFFSET = 0x40
SUPPRESS_POSITIVE_RESPONSE = 0x80

P2_SERVER_MAX_NS = 50_000_000
P2_STAR_SERVER_MAX_NS = 5_000_000_000
S3_SERVER_NS = 5_000_000_000
S3_CLIENT_NS = 2_000_000_000


class Service(IntEnum):
    """Request service identifiers (SID)."""

    DiagnosticSessionControl = 0x10
    ECUReset = 0x11
    ClearDiagnosticInformation = 0x14
    ReadDTCInformation = 0x19
    ReadDataByIdentifier = 0x22
    ReadMemoryByAddress = 0x23
    ReadScalingDataByIdentifier = 0x24
    SecurityAccess = 0x27
    CommunicationControl = 0x28
    Authentication = 0x29
    ReadDataByPeriodicIdentifier = 0x2A
    DynamicallyDefineDataIdentifier = 0x2C
    WriteDataByIdentifier = 0x2E
    InputOutputControlByIdentifier = 0x2F
    RoutineControl = 0x31
    RequestDownload = 0x34
    RequestUpload = 0x35
    TransferData = 0x36
    RequestTransferExit = 0x37
    RequestFileTransfer = 0x38
    WriteMemoryByAddress = 0x3D
    TesterPresent = 0x3E
    AccessTimingParameter = 0x83
    SecuredDataTransmission = 0x84
    ControlDTCSetting = 0x85
    ResponseOnEvent = 0x86
    LinkControl = 0x87


class Nrc(IntEnum):
    """Negative response codes (ISO 14229-1:2020 annex A)."""

    generalReject = 0x10
    serviceNotSupported = 0x11
    subFunctionNotSupported = 0x12
    incorrectMessageLengthOrInvalidFormat = 0x13
    responseTooLong = 0x14
    busyRepeatRequest = 0x21
    conditionsNotCorrect = 0x22
    requestSequenceError = 0x24
    noResponseFromSubnetComponent = 0x25
    failurePreventsExecutionOfRequestedAction = 0x26
    requestOutOfRange = 0x31
    securityAccessDenied = 0x33
    authenticationRequired = 0x34
    invalidKey = 0x35
    exceedNumberOfAttempts = 0x36
    requiredTimeDelayNotExpired = 0x37
    secureDataTransmissionRequired = 0x38
    secureDataTransmissionNotAllowed = 0x39
    secureDataVerificationFailed = 0x3A
    certificateVerificationFailedInvalidTimePeriod = 0x50
    certificateVerificationFailedInvalidSignature = 0x51
    certificateVerificationFailedInvalidChainOfTrust = 0x52
    certificateVerificationFailedInvalidType = 0x53
    certificateVerificationFailedInvalidFormat = 0x54
    certificateVerificationFailedInvalidContent = 0x55
    certificateVerificationFailedInvalidScope = 0x56
    certificateVerificationFailedInvalidCertificate = 0x57
    ownershipVerificationFailed = 0x58
    challengeCalculationFailed = 0x59
    settingAccessRightsFailed = 0x5A
    sessionKeyCreationDerivationFailed = 0x5B
    configurationDataUsageFailed = 0x5C
    deAuthenticationFailed = 0x5D
    uploadDownloadNotAccepted = 0x70
    transferDataSuspended = 0x71
    generalProgrammingFailure = 0x72
    wrongBlockSequenceCounter = 0x73
    requestCorrectlyReceivedResponsePending = 0x78
    subFunctionNotSupportedInActiveSession = 0x7E
    serviceNotSupportedInActiveSession = 0x7F
    rpmTooHigh = 0x81
    rpmTooLow = 0x82
    engineIsRunning = 0x83
    engineIsNotRunning = 0x84
    engineRunTimeTooLow = 0x85
    temperatureTooHigh = 0x86
    temperatureTooLow = 0x87
    vehicleSpeedTooHigh = 0x88
    vehicleSpeedTooLow = 0x89
    voltageTooHigh = 0x92
    voltageTooLow = 0x93
    resourceTemporarilyNotAvailable = 0x94


class Session(IntEnum):
    """Diagnostic sessions (ISO 14229-1 DiagnosticSessionControl)."""

    defaultSession = 0x01
    programmingSession = 0x02
    extendedDiagnosticSession = 0x03
    safetySystemDiagnosticSession = 0x04


class AuthenticationTask(IntEnum):
    """Sub-functions of Authentication 0x29."""

    deAuthenticate = 0x00
    verifyCertificateUnidirectional = 0x01
    verifyCertificateBidirectional = 0x02
    proofOfOwnership = 0x03
    transmitCertificate = 0x04
    requestChallengeForAuthentication = 0x05
    verifyProofOfOwnershipUnidirectional = 0x06
    verifyProofOfOwnershipBidirectional = 0x07
    authenticationConfiguration = 0x08


class AuthenticationReturn(IntEnum):
    """Authentication return parameters of 0x29."""

    requestAccepted = 0x00
    generalReject = 0x01
    authenticationConfigurationAPCE = 0x02
    authenticationConfigurationACRWithAsymmetricCryptography = 0x03
    authenticationConfigurationACRWithSymmetricCryptography = 0x04
    deAuthenticationSuccessful = 0x10
    certificateVerifiedOwnershipVerificationNecessary = 0x11
    ownershipVerifiedAuthenticationComplete = 0x12
    certificateVerified = 0x13


SUB_FUNCTION_SERVICES = frozenset({0x10, 0x11, 0x19, 0x27, 0x28, 0x29, 0x2C, 0x31, 0x3E, 0x83, 0x85, 0x86, 0x87})
"""Services whose first parameter is a sub-function with the suppress bit."""

FUNCTIONAL_SILENT = frozenset({0x11, 0x12, 0x31, 0x7E, 0x7F})
"""Refusals that are not sent to a functional request unless 0x78 went out before."""


def negative(sid: int, nrc: int) -> bytes:
    """Return a negative response."""
    return bytes((NEGATIVE_RESPONSE, sid, nrc))


def nrc_name(nrc: int) -> str:
    """Return `0x33 securityAccessDenied`, or the bare number where the standard has no name."""
    try:
        return f"0x{nrc:02X} {Nrc(nrc).name}"
    except ValueError:
        return f"0x{nrc:02X}"
