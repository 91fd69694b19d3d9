//! What sessions cost that do nothing: heap, physical memory, CPU time.

use std::io;
use std::thread::sleep;

use crate::child::Child;
use crate::client::Connection;
use crate::measure::{Effort, verdict};

/// Opens sessions, watches them and prints what they cost. `limit` is the target for heap bytes of each.
pub(crate) fn watch(
    setting: &str,
    count: usize,
    limit: f64,
    effort: Effort,
    open: impl Fn(&Child, usize) -> io::Result<Connection>,
) -> io::Result<()> {
    let mut child = Child::server()?;
    // What is allocated once is there before the first measurement.
    let first = open(&child, count)?;
    let (heap, resident) = (child.heap()?, child.resident()?);
    let sessions = (0..count).map(|number| open(&child, number)).collect::<io::Result<Vec<_>>>()?;
    let per_session = |before: usize, after: usize| (after as f64 - before as f64) / count as f64;
    let heap = per_session(heap, child.heap()?);
    let resident = per_session(resident, child.resident()?);
    let cpu = child.cpu()?;
    // Nothing is waited for: that nothing happens is what is measured.
    sleep(effort.idle);
    let cpu = (child.cpu()? - cpu).as_secs_f64() / effort.idle.as_secs_f64();
    drop((first, sessions));
    println!("\n{setting}");
    println!("  {heap:.0} heap bytes and {resident:.0} resident bytes per session, {:.3} % CPU", cpu * 100.0);
    println!("  {}", verdict("heap bytes per session", heap, limit));
    Ok(())
}
