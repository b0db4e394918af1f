/* What metrics.c asks of the mailboxes; private to runtime. */
#ifndef CARBOND_RUNTIME_MAILBOX_H
#define CARBOND_RUNTIME_MAILBOX_H

/* Appends carbond_mailbox_{depth,capacity,refused_total} of all mailboxes. */
void mailboxes_write(void (*emit)(void *sink, const char *line), void *sink);

#endif
