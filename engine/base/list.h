/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive lists in a ring.  The head is a struct list too; a node that is on no list points at
 * itself.  Every head and every node is set up with list_init() before use.  Nobody allocates.
 * One thread.
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>

#include "engine/base/cc.h"

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(name)	{&(name), &(name)}

static inline void
list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool
list_is_empty(const struct list *head)
{
	return (head->next == head);
}

/* For a node: is it on a list? */
static inline bool
list_is_linked(const struct list *node)
{
	return (node->next != node);
}

static inline void
list_insert_between_(struct list *node, struct list *prev, struct list *next)
{
	node->prev = prev;
	node->next = next;
	prev->next = node;
	next->prev = node;
}

/* The node must not be on a list. */
static inline void
list_add_head(struct list *head, struct list *node)
{
	list_insert_between_(node, head, head->next);
}

static inline void
list_add_tail(struct list *head, struct list *node)
{
	list_insert_between_(node, head->prev, head);
}

/* Off its list, linked to itself after; harmless for a node that is on none. */
static inline void
list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all nodes of from to the tail of head, in order; from is empty after. */
static inline void
list_splice(struct list *head, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member)		container_of(node, type, member)

/* NULL when the list is empty. */
#define list_first_entry(head, type, member)                                                       \
	(list_is_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_last_entry(head, type, member)                                                        \
	(list_is_empty(head) ? NULL : list_entry((head)->prev, type, member))

/* The node of pos.  By arithmetic: at the end of a walk pos stands for the head, which is no object
   of this type and need not be aligned like one. */
#define list_node_(pos, type, member)                                                              \
	((struct list *)(void *)((char *)(pos) + offsetof(type, member)))

/* pos is a pointer to type.  The body must not take pos off the list; use the SAFE form for that,
   where it still must not take off the node after pos.  pos is not an object after a full loop. */
#define LIST_FOREACH(pos, head, type, member)                                                      \
	for ((pos) = list_entry((head)->next, type, member);                                       \
	    list_node_(pos, type, member) != (head);                                               \
	    (pos) = list_entry((pos)->member.next, type, member))

#define LIST_FOREACH_SAFE(pos, tmp, head, type, member)                                            \
	for ((pos) = list_entry((head)->next, type, member),                                       \
	    (tmp) = list_entry((head)->next->next, type, member);                                  \
	    list_node_(pos, type, member) != (head);                                               \
	    (pos) = (tmp),                                                                         \
	    (tmp) = list_entry(list_node_(pos, type, member)->next, type, member))

#endif
