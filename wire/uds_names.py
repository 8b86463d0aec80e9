"""Names of sub-functions as ISO 14229-1 has them, for pages and reports; nothing decides by a name.

Source: the tables of udsoncan, scapy and wireshark. `EDITION_2013`: those that the 2020 edition no longer has.
"""

from __future__ import annotations

from collections.abc import Mapping

SUB_FUNCTIONS: Mapping[int, Mapping[int, str]] = {
    0x10: {
        0x01: "defaultSession",
        0x02: "programmingSession",
        0x03: "extendedDiagnosticSession",
        0x04: "safetySystemDiagnosticSession",
    },
    0x11: {
        0x01: "hardReset",
        0x02: "keyOffOnReset",
        0x03: "softReset",
        0x04: "enableRapidPowerShutDown",
        0x05: "disableRapidPowerShutDown",
    },
    0x19: {
        0x01: "reportNumberOfDTCByStatusMask",
        0x02: "reportDTCByStatusMask",
        0x03: "reportDTCSnapshotIdentification",
        0x04: "reportDTCSnapshotRecordByDTCNumber",
        0x05: "reportDTCStoredDataByRecordNumber",
        0x06: "reportDTCExtDataRecordByDTCNumber",
        0x07: "reportNumberOfDTCBySeverityMaskRecord",
        0x08: "reportDTCBySeverityMaskRecord",
        0x09: "reportSeverityInformationOfDTC",
        0x0A: "reportSupportedDTC",
        0x0B: "reportFirstTestFailedDTC",
        0x0C: "reportFirstConfirmedDTC",
        0x0D: "reportMostRecentTestFailedDTC",
        0x0E: "reportMostRecentConfirmedDTC",
        0x0F: "reportMirrorMemoryDTCByStatusMask",
        0x10: "reportMirrorMemoryDTCExtDataRecordByDTCNumber",
        0x11: "reportNumberOfMirrorMemoryDTCByStatusMask",
        0x12: "reportNumberOfEmissionsOBDDTCByStatusMask",
        0x13: "reportEmissionsOBDDTCByStatusMask",
        0x14: "reportDTCFaultDetectionCounter",
        0x15: "reportDTCWithPermanentStatus",
        0x16: "reportDTCExtDataRecordByRecordNumber",
        0x17: "reportUserDefMemoryDTCByStatusMask",
        0x18: "reportUserDefMemoryDTCSnapshotRecordByDTCNumber",
        0x19: "reportUserDefMemoryDTCExtDataRecordByDTCNumber",
        0x1A: "reportSupportedDTCExtDataRecord",
        0x42: "reportWWHOBDDTCByMaskRecord",
        0x55: "reportWWHOBDDTCWithPermanentStatus",
        0x56: "reportDTCInformationByDTCReadinessGroupIdentifier",
    },
    0x27: {0x01: "requestSeed (odd)", 0x02: "sendKey (even)"},
    0x28: {
        0x00: "enableRxAndTx",
        0x01: "enableRxAndDisableTx",
        0x02: "disableRxAndEnableTx",
        0x03: "disableRxAndTx",
        0x04: "enableRxAndDisableTxWithEnhancedAddressInformation",
        0x05: "enableRxAndTxWithEnhancedAddressInformation",
    },
    0x29: {
        0x00: "deAuthenticate",
        0x01: "verifyCertificateUnidirectional",
        0x02: "verifyCertificateBidirectional",
        0x03: "proofOfOwnership",
        0x04: "transmitCertificate",
        0x05: "requestChallengeForAuthentication",
        0x06: "verifyProofOfOwnershipUnidirectional",
        0x07: "verifyProofOfOwnershipBidirectional",
        0x08: "authenticationConfiguration",
    },
    0x2A: {0x01: "sendAtSlowRate", 0x02: "sendAtMediumRate", 0x03: "sendAtFastRate", 0x04: "stopSending"},
    0x2C: {0x01: "defineByIdentifier", 0x02: "defineByMemoryAddress", 0x03: "clearDynamicallyDefinedDataIdentifier"},
    0x2F: {0x00: "returnControlToECU", 0x01: "resetToDefault", 0x02: "freezeCurrentState", 0x03: "shortTermAdjustment"},
    0x31: {0x01: "startRoutine", 0x02: "stopRoutine", 0x03: "requestRoutineResults"},
    0x38: {
        0x01: "addFile",
        0x02: "deleteFile",
        0x03: "replaceFile",
        0x04: "readFile",
        0x05: "readDir",
        0x06: "resumeFile",
    },
    0x3E: {0x00: "zeroSubFunction"},
    0x83: {
        0x01: "readExtendedTimingParameterSet",
        0x02: "setTimingParametersToDefaultValues",
        0x03: "readCurrentlyActiveTimingParameters",
        0x04: "setTimingParametersToGivenValues",
    },
    0x85: {0x01: "on", 0x02: "off"},
    0x86: {
        0x00: "stopResponseOnEvent",
        0x01: "onDTCStatusChange",
        0x02: "onTimerInterrupt",
        0x03: "onChangeOfDataIdentifier",
        0x04: "reportActivatedEvents",
        0x05: "startResponseOnEvent",
        0x06: "clearResponseOnEvent",
        0x07: "onComparisonOfValues",
        0x08: "reportMostRecentDtcOnStatusChange",
        0x09: "reportDTCRecordInformationOnDtcStatusChange",
    },
    0x87: {
        0x01: "verifyModeTransitionWithFixedParameter",
        0x02: "verifyModeTransitionWithSpecificParameter",
        0x03: "transitionMode",
    },
}
"""Sub-functions, and where a service has none its first parameter that works like one (0x2A, 0x2F, 0x38)."""

EDITION_2013: Mapping[int, frozenset[int]] = {
    0x19: frozenset((0x0F, 0x10, 0x11, 0x12, 0x13)),
    0x86: frozenset((0x02,)),
}
