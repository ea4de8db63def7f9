//! Published test vectors of the three patterns, as they stand in snow 0.10's tests: snow's own and
//! cacophony's (the reference of the Noise project).

/// One published handshake and the transport messages behind it, hexadecimal.
pub(super) struct Vector {
    pub(super) source: &'static str,
    pub(super) protocol: &'static str,
    pub(super) prologue: &'static str,
    pub(super) psk: Option<&'static str>,
    pub(super) initiator_ephemeral: &'static str,
    pub(super) responder_ephemeral: &'static str,
    pub(super) responder_static: Option<&'static str>,
    pub(super) responder_public: Option<&'static str>,
    pub(super) hash: Option<&'static str>,
    /// Payload and message, in turn from the initiator and the responder.
    pub(super) messages: &'static [(&'static str, &'static str)],
}

pub(super) const VECTORS: &[Vector] = &[
    Vector {
        source: "cacophony",
        protocol: "Noise_NN_25519_AESGCM_SHA256",
        prologue: "4a6f686e2047616c74",
        psk: None,
        initiator_ephemeral: "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        responder_ephemeral: "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        responder_static: None,
        responder_public: None,
        hash: Some("6301958d25cd7d1ffe6ad7d0ca2ad284b4e478d9acd9198f7750432d225043d0"),
        messages: &[
            (
                "4c756477696720766f6e204d69736573",
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573",
            ),
            (
                "4d757272617920526f746862617264",
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843934ff73eebb9d930ebf62b8e4db8133ca936872b5551efd7c9989c646d8cf0",
            ),
            (
                "462e20412e20486179656b",
                "8d372b94914e80018211a344b8b1c5a2869492a0db46990c0362f3",
            ),
            (
                "4361726c204d656e676572",
                "e183b0abd55550f9955fb05476d988c6f27628d7bbde111c39ccbc",
            ),
            (
                "4a65616e2d426170746973746520536179",
                "167293a79ad6a647114c4f4eb55bdf713a0d44ae48765c07fc4e57743100825021",
            ),
            (
                "457567656e2042f6686d20766f6e2042617765726b",
                "2b67a18ae246069c51687bee89141041d9d35a821f852975d169a4f80f75c735807a1fd157",
            ),
        ],
    },
    Vector {
        source: "cacophony",
        protocol: "Noise_NK_25519_AESGCM_SHA256",
        prologue: "4a6f686e2047616c74",
        psk: None,
        initiator_ephemeral: "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        responder_ephemeral: "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        responder_static: Some("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"),
        responder_public: Some("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"),
        hash: Some("f8a87aa8add4fea6e33365b89637486c2f6564546ce29d1df9ce9abf78c507d7"),
        messages: &[
            (
                "4c756477696720766f6e204d69736573",
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794475ab4d66d222457dd414bc5f296bc7b4078cc7d72af5192628b68bca7d28844b",
            ),
            (
                "4d757272617920526f746862617264",
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884303c7d89310502baa8299520ba451624c3c0492e2698f8d457c32400b91fd8a",
            ),
            (
                "462e20412e20486179656b",
                "304f70c37c93573099228016d54cb15213af94eb598d1b17df1153",
            ),
            (
                "4361726c204d656e676572",
                "a1bf6c954529f29b31d8ae9f67d2c18dbd332aa1a0918690c6d80b",
            ),
            (
                "4a65616e2d426170746973746520536179",
                "2e8f3e51888360b2b2d83a64dde9943c7dd3c5e84ac7c4b4e2d5cfc025b6c854d3",
            ),
            (
                "457567656e2042f6686d20766f6e2042617765726b",
                "8498bf41212a8b87c9eeb408274c75b3558fd0530865b5a7932d4b3af812d85b3df27e6f33",
            ),
        ],
    },
    Vector {
        source: "cacophony",
        protocol: "Noise_NNpsk0_25519_AESGCM_SHA256",
        prologue: "4a6f686e2047616c74",
        psk: Some("54686973206973206d7920417573747269616e20706572737065637469766521"),
        initiator_ephemeral: "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        responder_ephemeral: "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        responder_static: None,
        responder_public: None,
        hash: Some("9f3b1f9afd7767767b5b9d1069844a6154fdbdcc36dfb3e31c0fffc5c973d530"),
        messages: &[
            (
                "4c756477696720766f6e204d69736573",
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79447c37a89fc17813788d30df2d59501d6066f5f8aecc3406bbd9829f2d24a531b1",
            ),
            (
                "4d757272617920526f746862617264",
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088432f29d79368ef9de4e1ae7a362fb05bf0ad668e026bf5714554497b3a720461",
            ),
            (
                "462e20412e20486179656b",
                "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6",
            ),
            (
                "4361726c204d656e676572",
                "a9ff535aace3db6a1da1a7fb00fe2de2622bb373abad9fb42c00e0",
            ),
            (
                "4a65616e2d426170746973746520536179",
                "6cfc49a3e65472edc2d0152abe5ce950170a8a47c959f30bd48b5f0aacf29adbfd",
            ),
            (
                "457567656e2042f6686d20766f6e2042617765726b",
                "9bc86e6d974ed21ba04604a94aa68de21677eb409ead070c0cd569b069ee19ba142aa4c1a9",
            ),
        ],
    },
    Vector {
        source: "snow",
        protocol: "Noise_NN_25519_AESGCM_SHA256",
        prologue: "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e20616e6420626f72696e672e",
        psk: None,
        initiator_ephemeral: "37fe1f46e20738c35ba2a6dc18e22f3ab1ce7d5b6bfc0c831828d476fff9418b",
        responder_ephemeral: "ea3fa55cb93537a991dd37b0a45f6ccd96fb405f7813960cd60d17ef8dd21045",
        responder_static: None,
        responder_public: None,
        hash: None,
        messages: &[
            (
                "7abc443431e2a674ded40fa99190db8ec84c39f4e59b4b06ada67091ef8b4251",
                "cb3a5b076f4f6d0fbef467889a7dbe137af01edac2ee10b61bb30b54285414607abc443431e2a674ded40fa99190db8ec84c39f4e59b4b06ada67091ef8b4251",
            ),
            (
                "c28c38b69d02d656ebb04b7776d4d9c5d2ddf56f02821171e7f2206b95bcbae6",
                "888b3440ba2722e6b8248d65ea3079cfd3204a8b6a212f6445d84b7caae72c7b3a7111b08614b0af014229d2454bedc6766528fdd6b0f78685f97629e2fb9173ea0319e47c1631c9ebe834528c360fda",
            ),
            (
                "90c827cc7c3c26e3731dd04dba5885d2fa122887eef8469cfc4673628412b06b",
                "e3d060c46b32dc55a171a95287d8ecc2570b7cd33792c6876b66abed3ea488b724dd95959f642782303d79d80d49f237",
            ),
            (
                "6eeb5ad89abc7cd32c29db62b609fab0f1c2d2f41c5f4dc8769a6cfc9575baeb",
                "cf7c33e720569f26b8a6f70b9a247fa41bd492bcb5a6cb6b2d5d1105502aed893ad24daa5c9e546dde6ea698f9c1fb0a",
            ),
        ],
    },
    Vector {
        source: "snow",
        protocol: "Noise_NK_25519_AESGCM_SHA256",
        prologue: "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e20616e6420626f72696e672e",
        psk: None,
        initiator_ephemeral: "02e04d1bed1c50a9be7d958d9c06ddec76881ef39b762f1601901b25ff1e46a4",
        responder_ephemeral: "aaf5caca88dd39acb6c84795812854f62ded2ae0c67d648f312394257a32113f",
        responder_static: Some("6769f07983e44fe6ff82ace61b5b5a13ca6be7dde385dea6ccd7f3cfe535cec6"),
        responder_public: Some("64c1c425f047a6d90a7fd1ea6756fc9adfc197748d72cd1f015be61f504d9527"),
        hash: None,
        messages: &[
            (
                "69ae4e493d11522fcb749a055877fdac2ac17e94cf960acc3a2e53e577c92d5a",
                "270f4f126d1d152350b0059ab9b9fb21bfa96e0c762be7ce026e814b252ad92b699ecc4a8fb66c33a683410766c1ed0b2d28fafd448d627dd0b09224b9a91b9606eddd56213fdbd7ba6cc07065a7c49f",
            ),
            (
                "ee2a0bd186b6afba4a0337a55a4c77d3226f17b8e0b7ea7c3baeea30c3dc9f25",
                "9a176f6eaf3ebf725cec49c53352f57c7efe3b1cd5ea3853ad8992f82f53522352b0330096bb06541120b58e228a62ec2f3cc07d60c66d62492637a16692919b6e2608911f782d39425864e7c2c3621b",
            ),
            (
                "4020fe66c7cb638c46097b36326ef50fb1635c04c1e73531eb0c3a46a13b51a5",
                "9ef5f71dabe587067b48c5f18e2251218cb85926c512da4ecf307350f49977ca1a71458f345cd530596225da2c0b3660",
            ),
            (
                "48960984defe32c0a68782f3204eccece590409f2c0e5b95b1f0aa4fd0078a36",
                "ca4b7f6f48f52282737c3e54b9801e815a03a746ef074e23be1e2c9efb7173f18bebeb6201c87f6fcde4fece6e2c8761",
            ),
        ],
    },
];
