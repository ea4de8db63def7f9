//! `stillwire completions SHELL`

use crate::args::{Cli, Completions};
use crate::exit::Fault;
use clap::CommandFactory;

/// Prints the completions of a shell.
pub(crate) fn run(verb: &Completions) -> Result<(), Fault> {
    let mut text = Vec::new();
    clap_complete::generate(verb.shell, &mut Cli::command(), "stillwire", &mut text);
    super::man::print(|out| out.write_all(&text))
}
