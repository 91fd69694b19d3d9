//! Where commands from other threads wait for the server: a queue with a bound, and a waker that is used only when the
//! server has found the queue empty.
//!
//! **Wakes.** The server looks into the queue again and again, until a look finds nothing; only then, and only once
//! until its next look, a command wakes it. So a batch costs one system call and one lock of the server's, and commands
//! that come while others are carried out cost none.
//!
//! **Memory.** A command counts from when it is accepted until it was carried out, with the memory that it owns
//! and its place in the queue; so commands that the server has taken out, and not yet carried out, count too.
//! The queue consists of blocks of one size: where it grows, nothing is moved or allocated twice, and a block
//! goes back as soon as it is empty.

use std::collections::{LinkedList, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use crate::containment::discard;
use crate::handle::{Command, HandleError, Pending};

/// Commands of a block.
const BLOCK: usize = 128;

/// Commands wait here for the next turn.
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    /// The option `mailbox_bytes`.
    limit: usize,
    /// Ends the sleep of a server; a simulated one never sleeps.
    waker: Option<Waker>,
}

struct Queue {
    stage: Stage,
    blocks: Blocks,
    /// Commands that were accepted, and not settled: those in the blocks, and those that the server has taken out.
    pending: Pending,
    /// The server's last look found nothing, and it has not been woken since: it will look again when it is.
    is_awaited: bool,
}

/// Whether the mailbox takes commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The same, but a shutdown waits already: a second one would say nothing new.
    ShutdownAsked,
    /// The server is gone, and takes nothing out any more.
    Closed,
}

/// A queue of commands, in blocks.
#[derive(Default)]
pub(crate) struct Blocks(LinkedList<VecDeque<Command>>);

impl Blocks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.front().is_none_or(VecDeque::is_empty)
    }

    fn push(&mut self, command: Command) {
        match self.0.back_mut() {
            Some(block) if block.len() < BLOCK => block.push_back(command),
            _ => {
                let mut block = VecDeque::with_capacity(BLOCK);
                block.push_back(command);
                self.0.push_back(block);
            }
        }
    }

    /// Takes out the oldest. The last block is kept: the next commands need it.
    pub(crate) fn pop(&mut self) -> Option<Command> {
        let block = self.0.front_mut()?;
        let command = block.pop_front();
        if block.is_empty() && self.0.len() > 1 {
            self.0.pop_front();
        }
        command
    }
}

/// Bytes that a command costs beside those that it owns: its place, the heads of two
/// allocations, and its part of a block's.
const OVERHEAD: usize = size_of::<Command>() + 40;

impl Mailbox {
    /// Bytes of memory beside those of the commands: blocks that are not full, one to be filled and two to be emptied.
    pub(crate) const MEMORY: usize = 3 * BLOCK * OVERHEAD;

    pub(crate) fn new(waker: Option<Waker>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue {
                stage: Stage::Open,
                blocks: Blocks::default(),
                pending: Pending::default(),
                is_awaited: true,
            }),
            limit,
            waker,
        })
    }

    /// Takes out all commands, in place of `blocks`, which are empty; those that were carried out before are `done`.
    /// Where there are some the caller must look again, since those that come meanwhile do not wake it.
    pub(crate) fn collect(&self, blocks: &mut Blocks, done: &mut Pending) {
        debug_assert!(blocks.is_empty(), "commands would come back behind those that were posted later");
        let mut queue = self.lock();
        queue.pending.settle(done);
        std::mem::swap(&mut queue.blocks, blocks);
        queue.is_awaited = blocks.is_empty();
    }

    /// Commands were carried out.
    pub(crate) fn settle(&self, done: &mut Pending) {
        if *done != Pending::default() {
            self.lock().pending.settle(done);
        }
    }

    /// The server is gone: commands are dropped, those in `left`, those that wait, and those that come.
    pub(crate) fn close(&self, left: &mut Blocks) {
        let mut waiting = {
            let mut queue = self.lock();
            queue.stage = Stage::Closed;
            queue.pending = Pending::default();
            std::mem::take(&mut queue.blocks)
        };
        // A command may own a handle: it must not be dropped inside of the lock. And variables that a task has captured
        // may panic as they are dropped: each command is dropped on its own.
        while let Some(command) = left.pop().or_else(|| waiting.pop()) {
            discard(command);
        }
        *left = Blocks::default();
    }

    /// Accepts a command, or says why not: then it is dropped here, in the hands of its thread.
    pub(crate) fn post(&self, command: Command) -> Result<(), HandleError> {
        let weight = weigh(&command);
        let queue = self.lock();
        match queue.stage {
            Stage::Closed => Err(HandleError::Gone),
            _ if weight > self.limit => Err(HandleError::TooLarge),
            _ if weight > self.limit.saturating_sub(queue.pending.bytes) => Err(HandleError::Busy),
            Stage::Open | Stage::ShutdownAsked => {
                self.accept(queue, command, weight);
                Ok(())
            }
        }
    }

    /// Accepts a shutdown, whatever waits already; only once, so that this has an end too.
    pub(crate) fn post_shutdown(&self, command: Command) {
        let weight = weigh(&command);
        let mut queue = self.lock();
        if queue.stage == Stage::Open {
            queue.stage = Stage::ShutdownAsked;
            self.accept(queue, command, weight);
        }
    }

    fn accept(&self, mut queue: MutexGuard<'_, Queue>, command: Command, weight: usize) {
        queue.blocks.push(command);
        queue.pending.note(weight);
        let is_awaited = std::mem::take(&mut queue.is_awaited);
        drop(queue);
        if let (true, Some(waker)) = (is_awaited, &self.waker) {
            // It fails only if the server is gone.
            let _ = waker.wake();
        }
    }

    /// The commands that were accepted, and are not carried out.
    pub(crate) fn pending(&self) -> Pending {
        self.lock().pending
    }

    /// A panic between lock and unlock cannot happen, and would leave the queue whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// One command more, of this weight.
    pub(crate) fn note(&mut self, weight: usize) {
        self.commands += 1;
        self.bytes += weight;
    }

    /// The commands that are done do not wait any more.
    fn settle(&mut self, done: &mut Pending) {
        let done = std::mem::take(done);
        self.commands -= done.commands;
        self.bytes -= done.bytes;
    }
}

/// Bytes of memory that a command takes while it waits.
pub(crate) fn weigh(command: &Command) -> usize {
    command.held().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(limit: usize) -> (mio::Poll, Arc<Mailbox>) {
        let poll = mio::Poll::new().expect("poll");
        let waker = Waker::new(poll.registry(), mio::Token(0)).expect("waker");
        (poll, Mailbox::new(Some(waker), limit))
    }

    /// A command that does nothing but take a place.
    fn task() -> Command {
        Command::Run(Box::new(|_| {}))
    }

    fn shutdown() -> Command {
        Command::shutdown(1001, String::new())
    }

    #[test]
    fn commands_keep_their_order_over_blocks() {
        let (_poll, mailbox) = mailbox(1 << 20);
        let mut blocks = Blocks::default();
        let mut next = 0;
        for posted in [1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            for number in next..next + posted {
                let command = Command::Run(Box::new(move |_| assert!(number < usize::MAX)));
                assert_eq!(command.held(), size_of::<usize>());
                mailbox.post(command).expect("room");
            }
            next += posted;
            assert_eq!(mailbox.pending().commands, posted);
            let mut done = Pending::default();
            mailbox.collect(&mut blocks, &mut done);
            while let Some(command) = blocks.pop() {
                done.note(weigh(&command));
                let needed = (posted - done.commands).div_ceil(BLOCK) + 1;
                assert!(blocks.0.len() <= needed, "a block that is empty goes back");
            }
            let taken = done.commands;
            mailbox.settle(&mut done);
            assert_eq!((taken, mailbox.pending()), (posted, Pending { commands: 0, bytes: 0 }));
        }
    }

    #[test]
    fn a_command_counts_until_it_was_carried_out() {
        let weight = weigh(&task());
        let (_poll, mailbox) = mailbox(3 * weight);
        let mut blocks = Blocks::default();
        for _ in 0..3 {
            assert_eq!(mailbox.post(task()), Ok(()));
        }
        assert_eq!(mailbox.post(task()), Err(HandleError::Busy));
        let mut done = Pending::default();
        mailbox.collect(&mut blocks, &mut done);
        assert_eq!(mailbox.post(task()), Err(HandleError::Busy), "it is the server's, but not done");
        done.note(weigh(&blocks.pop().expect("a command")));
        mailbox.settle(&mut done);
        assert_eq!(done, Pending::default());
        assert_eq!(mailbox.post(task()), Ok(()));
        assert_eq!(mailbox.pending(), Pending { commands: 3, bytes: 3 * weight });
        mailbox.close(&mut blocks);
        assert_eq!(mailbox.pending(), Pending { commands: 0, bytes: 0 });
        assert_eq!(mailbox.post(task()), Err(HandleError::Gone));
    }

    /// Whether the waker was used since the last call.
    fn is_woken(poll: &mut mio::Poll) -> bool {
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(std::time::Duration::ZERO)).expect("poll");
        !events.is_empty()
    }

    #[test]
    fn a_batch_is_one_wake_and_commands_that_come_while_it_is_carried_out_are_none() {
        let (mut poll, mailbox) = mailbox(1 << 20);
        let (mut blocks, mut done) = (Blocks::default(), Pending::default());
        for _ in 0..3 {
            assert!(!is_woken(&mut poll));
            mailbox.post(task()).expect("room");
            assert!(is_woken(&mut poll));
            mailbox.post(task()).expect("room");
            assert!(!is_woken(&mut poll), "it is awake, and has not looked");
            for _ in 0..3 {
                mailbox.collect(&mut blocks, &mut done);
                assert!(!blocks.is_empty());
                while blocks.pop().is_some() {
                    // The server carries it out, and has to look again.
                    mailbox.post(task()).expect("room");
                    assert!(!is_woken(&mut poll));
                }
            }
            mailbox.collect(&mut blocks, &mut done);
            while blocks.pop().is_some() {}
            mailbox.collect(&mut blocks, &mut done);
            assert!(blocks.is_empty());
        }
    }

    #[test]
    fn a_shutdown_finds_room_where_there_is_none_but_once() {
        let (_poll, mailbox) = mailbox(weigh(&task()));
        assert_eq!(mailbox.post(task()), Ok(()));
        assert_eq!(mailbox.post(task()), Err(HandleError::Busy));
        (0..1000).for_each(|_| mailbox.post_shutdown(shutdown()));
        assert_eq!(mailbox.pending().commands, 2);
        mailbox.close(&mut Blocks::default());
        mailbox.post_shutdown(shutdown());
        assert_eq!(mailbox.pending().commands, 0);
    }

    #[test]
    fn a_command_that_can_never_get_in_is_told_apart() {
        let (_poll, mailbox) = mailbox(1000);
        let send = |length| Command::Broadcast(crate::engine::EndpointNumber::new(0), "x".repeat(length));
        assert_eq!(mailbox.post(send(1000)), Err(HandleError::TooLarge));
        assert_eq!(mailbox.post(send(1000 - OVERHEAD)), Ok(()));
        assert_eq!(mailbox.post(send(0)), Err(HandleError::Busy));
    }

    #[test]
    fn a_command_is_small() {
        assert!(size_of::<Command>() <= 40, "{}", size_of::<Command>());
    }
}
