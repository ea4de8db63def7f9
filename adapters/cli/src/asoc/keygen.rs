//! `stillwire asoc keygen`

use super::random;
use crate::args::asoc::AsocKeygen;
use crate::exit::Fault;
use crate::key;
use crate::run::Run;
use serde_json::json;
use stillwire_core::asoc::cluster_key_text;
use zeroize::Zeroizing;

pub(super) fn run(verb: &AsocKeygen, run: &Run) -> Result<(), Fault> {
    let text = if let (Some(file), Some(cluster)) = (&verb.master_file, &verb.cluster) {
        cluster_key_text(&key::from_file(file)?, cluster)
    } else {
        key::hex(Zeroizing::new(random::<32>()?).as_slice())
    };
    // The key is the result that was asked for.
    run.out.result(&json!({ "key": *text }), &text);
    Ok(())
}
