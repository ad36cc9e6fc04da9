"""Backup storage: a folder or an object store. What the files mean is the services' business."""

from chatctl.stores.repository.base import Draft, Repository

__all__ = ["Draft", "Repository"]
